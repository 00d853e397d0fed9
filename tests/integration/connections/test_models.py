"""Validation of connections and drivers. No literal password is saved."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError

from connections import registry
from connections.models import Connection, Driver
from connections.sdk.errors import SecretMissing
from tests.factories import ConnectionFactory, DriverFactory, ModuleFactory, WarehouseFactory

pytestmark = pytest.mark.django_db


def errors(row: Connection) -> dict[str, list[str]]:
    """Validate the row, and return the error messages of each field."""
    with pytest.raises(ValidationError) as caught:
        row.full_clean()
    return caught.value.message_dict


def test_every_kind_of_system_has_a_driver_with_the_values_of_its_manifest() -> None:
    rows = {driver.kind: driver for driver in Driver.objects.all()}
    assert set(rows) == set(registry.kinds())
    for kind in registry.kinds():
        manifest = registry.manifest(kind)
        driver = rows[kind]
        assert manifest.url is not None
        assert (driver.name, driver.url_template) == (manifest.title, manifest.url.template)
        jdbc = (manifest.jdbc.class_name, manifest.jdbc.maven) if manifest.jdbc else ("", "")
        assert (driver.class_name, driver.maven) == jdbc


def test_a_valid_connection_is_saved() -> None:
    row = WarehouseFactory.build(driver=Driver.objects.get(kind="postgresql"))
    row.full_clean()
    row.save()
    assert (row.supports_deletes, row.options, row.max_parallel) == (True, {}, 4)


@pytest.mark.parametrize("password", ["geheim", "$geheim", "$GEHEIM!", "GEHEIM", "$", "$GEHEIM\n", " $GEHEIM"])
def test_a_literal_password_is_refused_and_not_repeated(password: str) -> None:
    messages = errors(Connection(**fields(password)))["password"]
    assert "secrets set" in messages[0]
    assert "geheim" not in " ".join(messages).lower()


@pytest.mark.parametrize("password", ["$dw_pw", "${DW_PW}", "$DW-PW", "$1DW"])
def test_a_malformed_reference_is_refused_with_an_example(password: str) -> None:
    (message,) = errors(Connection(**fields(password)))["password"]
    assert message.startswith("This begins with $ but is not a reference to a secret")
    assert "$ and a name of capital letters, digits and “_”, such as $DW_PW" in message
    assert password not in message


def fields(password: str) -> dict[str, object]:
    driver = Driver.objects.get(kind="postgresql")
    return {"name": "w", "driver": driver, "jdbc_url": "postgresql://h/dw", "password": password}


@pytest.mark.parametrize("password", ["geheim", "$geheim", "$DW_PW\n"])
def test_the_database_refuses_a_literal_password(password: str) -> None:
    row = WarehouseFactory.create()
    with pytest.raises(IntegrityError, match="connection_password_is_a_reference"), transaction.atomic():
        Connection.objects.filter(pk=row.pk).update(password=password)
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE connection SET password = %s", [password])
    row.refresh_from_db()
    assert row.password == "$DW_PW"


def test_a_connection_may_have_no_password() -> None:
    row = ConnectionFactory.create(password="")
    row.full_clean()
    assert row.parameters().password == ""


@pytest.mark.parametrize(
    ("kind", "url"),
    [("postgresql", "jdbc:mysql://h/db"), ("postgresql", "nonsense://"), ("sqlserver", "jdbc:postgresql://h/db")],
)
def test_a_url_of_another_system_is_refused(kind: str, url: str) -> None:
    assert errors(ConnectionFactory.build(driver=Driver.objects.get(kind=kind), jdbc_url=url))["jdbc_url"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"creat": True}, "“creat” is not an option of sqlite"),
        ({"create": "yes"}, "must be a boolean"),
        ({"create": 1}, "must be a boolean"),
        (["create"], "a JSON object"),
    ],
)
def test_options_are_validated_with_the_manifest(options: object, message: str) -> None:
    row = ConnectionFactory.build(driver=Driver.objects.get(kind="sqlite"), options=options)
    assert message in errors(row)["options"][0]


def test_null_options_become_an_empty_object() -> None:
    row = ConnectionFactory.build(driver=Driver.objects.get(kind="sqlite"), options=None)
    row.full_clean()
    assert row.options == {}


def test_names_are_unique() -> None:
    row = ConnectionFactory.create(name="erp")
    assert errors(Connection(**{**fields(""), "name": row.name}))["name"]


@pytest.mark.parametrize("name", ["", "-erp", "erp/../x", "a\nb"])
def test_names_that_are_hard_to_type_on_a_command_line_are_refused(name: str) -> None:
    assert errors(Connection(**{**fields(""), "name": name}))["name"]


def test_parameters_have_the_resolved_password_and_hide_it_and_the_options_in_their_repr(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DW_PW", "geheim-17")
    parameters = WarehouseFactory.create(name="dw", options={"session": {"search_path": "x"}}).parameters()
    assert (parameters.kind, parameters.name) == ("postgresql", "dw")
    assert (parameters.username, parameters.password) == ("etl", "geheim-17")
    assert parameters.options == {"session": {"search_path": "x"}}
    assert "geheim" not in repr(parameters) and "search_path" not in repr(parameters)


def test_a_reference_to_a_missing_secret_raises_an_error_with_its_name() -> None:
    with pytest.raises(SecretMissing, match="NOT_THERE_AT_ALL"):
        WarehouseFactory.create(password="$NOT_THERE_AT_ALL").parameters()


def test_the_result_of_a_connection_test_is_saved() -> None:
    row = ConnectionFactory.create()
    row.record_test(ok=False, message="The host is unknown.")
    stored = Connection.objects.failing().get()
    assert (stored.last_test_ok, stored.last_test_message) == (False, "The host is unknown.")
    assert stored.last_tested_at is not None


def test_a_connection_that_a_module_uses_cannot_be_deleted() -> None:
    module = ModuleFactory.create()
    with pytest.raises(ProtectedError):
        module.source_connection.delete()


def test_a_driver_with_connections_cannot_be_deleted() -> None:
    ConnectionFactory.create()
    with pytest.raises(ProtectedError):
        DriverFactory.create(kind="sqlite").delete()


def test_connections_and_their_drivers_are_loaded_in_one_query(django_assert_num_queries: object) -> None:
    ConnectionFactory.create_batch(3)
    with django_assert_num_queries(1):  # type: ignore[operator]
        assert {row.driver.kind for row in Connection.objects.with_driver()} == {"sqlite"}

"""Secrets are bound to the kind, host, port and user that their references were entered for."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission, User
from django.db import connection as metadata
from django.test import Client
from django.urls import reverse

from connections import record_test_result
from connections.models import Connection, Driver
from connections.sdk.errors import SecretMissing
from connections.secrets import references
from pipekit_site import import_export
from pipekit_site.configfile.problems import FileInvalid
from tests.factories import WarehouseFactory

pytestmark = pytest.mark.django_db
URL = "jdbc:postgresql://127.0.0.1:5432/dw"
OTHER_TARGETS = [
    {"jdbc_url": "jdbc:postgresql://127.0.0.2:5432/dw"},
    {"jdbc_url": "jdbc:postgresql://127.0.0.1:5433/dw"},
    {"jdbc_url": "jdbc:postgresql://127.0.0.1/dw?sslmode=disable"},
    {"jdbc_url": "jdbc:postgresql://127.0.0.1/dw?channel_binding=disable"},
    {"jdbc_url": "jdbc:postgresql://127.0.0.1/dw?gssEncMode=disable"},
    {"jdbc_url": "postgresql:///dw?host=/tmp"},
    {"username": "other"},
    {"options": {"allow_cleartext_password": True}},
    {"options": {"embedded": "/data/pg"}},
]
SAME_TARGET = [
    {"jdbc_url": "jdbc:postgresql://127.0.0.1/dw"},
    {"jdbc_url": "postgresql://127.0.0.1/dw"},
    {"jdbc_url": "jdbc:postgresql://127.0.0.1:5432/other?ApplicationName=x"},
    {"name": "renamed"},
    {"max_parallel": 2},
    {"options": {"session": {"search_path": "x"}}},
]


@pytest.fixture(autouse=True)
def password(tmp_path: Path) -> Iterator[None]:
    before = references.store().path
    references.configure(tmp_path / "secrets.env")
    references.store().set("DW_PW", "canary-4417")
    references.store().set("OTHER", "canary-4418")
    yield
    references.configure(before)


@pytest.fixture
def warehouse() -> Connection:
    row: Connection = WarehouseFactory.create(name="dw", jdbc_url=URL)
    return row


def changed(warehouse: Connection, **fields: Any) -> Connection:
    """Change the row in the database without validation, and return it."""
    Connection.objects.filter(pk=warehouse.pk).update(**fields)
    return Connection.objects.with_driver().get(pk=warehouse.pk)


@pytest.mark.parametrize("fields", OTHER_TARGETS)
def test_a_secret_does_not_resolve_if_its_target_was_changed_in_the_database(
    warehouse: Connection, fields: dict[str, Any]
) -> None:
    row = changed(warehouse, **fields)
    with pytest.raises(SecretMissing, match="DW_PW is not bound to this host; it is bound to postgresql at") as refused:
        row.parameters()
    assert "Enter the reference again" in refused.value.hint
    result = record_test_result.run_test(row)
    assert (result.ok, len(result.steps)) == (False, 1)
    # saving the result of the test does not bind the secret
    with pytest.raises(SecretMissing):
        Connection.objects.get(pk=row.pk).parameters()


@pytest.mark.parametrize("fields", SAME_TARGET)
def test_a_secret_resolves_if_its_target_is_unchanged(warehouse: Connection, fields: dict[str, Any]) -> None:
    assert changed(warehouse, **fields).parameters().password == "canary-4417"


def test_a_reference_or_kind_changed_in_the_database_does_not_resolve(warehouse: Connection) -> None:
    with pytest.raises(SecretMissing, match="OTHER is not bound to this host; it is bound to no host"):
        changed(warehouse, password="$OTHER").parameters()
    with pytest.raises(SecretMissing, match="DW_PW is not bound"):
        changed(warehouse, password="$DW_PW", driver=Driver.objects.get(kind="jdbc")).parameters()


def test_the_migration_binds_existing_secrets_to_their_targets(warehouse: Connection) -> None:
    row = changed(warehouse, secret_binding=None)
    with pytest.raises(SecretMissing, match="it is bound to no host"):
        row.parameters()
    import_module("connections.migrations.0003_secret_binding").bind(apps, SimpleNamespace(connection=metadata))
    assert Connection.objects.get(pk=row.pk).parameters().password == "canary-4417"


@pytest.mark.parametrize("protection", ["channel_binding=require", "sslmode=require&gssEncMode=prefer"])
def test_the_migration_extends_bindings_by_properties_that_were_not_part_of_them(
    warehouse: Connection, protection: str
) -> None:
    row = changed(warehouse, jdbc_url=f"{URL}?{protection}")
    row.save()
    bound = row.secret_binding or {}
    old = {name: value for name, value in bound["target"]["protection"].items() if name == "sslmode"}
    target = {**bound["target"], "protection": old}
    if not old:
        del target["protection"]
    row = changed(warehouse, secret_binding={**bound, "target": target})
    with pytest.raises(SecretMissing):
        row.parameters()
    extend = import_module("connections.migrations.0006_protection_properties").extend
    extend(apps, SimpleNamespace(connection=metadata))
    row = Connection.objects.with_driver().get(pk=row.pk)
    assert row.secret_binding == bound
    row = changed(warehouse, secret_binding={**bound, "target": target}, jdbc_url=f"{URL[:-7]}5433/dw?{protection}")
    extend(apps, SimpleNamespace(connection=metadata))
    with pytest.raises(SecretMissing):
        Connection.objects.with_driver().get(pk=row.pk).parameters()


def client_with(*permissions: str) -> Client:
    user = User.objects.create_user("ed", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def post(client: Client, row: Connection | None, **fields: Any) -> str:
    """Post the form with these fields changed. Return the page with its errors, or "" if the form was saved."""
    driver = Driver.objects.get(kind="postgresql").pk
    data = {"name": "dw", "driver": driver, "jdbc_url": URL, "username": "etl", "password": "$DW_PW"}
    data |= {"supports_deletes": "on", "max_parallel": 4, "options": "", **fields}
    page = reverse("admin:connections_connection_change", args=[row.pk]) if row else None
    response = client.post(page or reverse("admin:connections_connection_add"), data)
    assert response.status_code in (200, 302)
    return "" if response.status_code == 302 else response.content.decode()


EDITOR = ("view_connection", "add_connection", "change_connection", "view_driver")
MOVED = {"jdbc_url": "jdbc:postgresql://evil.invalid:5432/dw"}


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("fields", [MOVED, {"username": "other"}, {"password": "$OTHER"}])
def test_an_editor_without_the_permission_cannot_send_a_secret_elsewhere(
    warehouse: Connection, fields: dict[str, Any]
) -> None:
    client = client_with(*EDITOR)
    assert "takes the permission" in post(client, warehouse, **fields)
    assert "takes the permission" in post(client, warehouse, **fields, confirm_secret=fields.get("password", "$DW_PW"))
    assert Connection.objects.get().jdbc_url == URL
    assert Connection.objects.get().parameters().password == "canary-4417"


def test_an_editor_without_the_permission_can_change_other_fields_and_remove_the_secret(warehouse: Connection) -> None:
    client = client_with(*EDITOR)
    assert post(client, warehouse, max_parallel=9) == ""
    assert Connection.objects.get().parameters().password == "canary-4417"
    assert post(client, warehouse, **MOVED, password="") == ""
    assert "takes the permission" in post(client, warehouse, **MOVED)


def test_an_editor_without_the_permission_cannot_add_a_connection_with_a_secret() -> None:
    client = client_with(*EDITOR)
    assert "takes the permission" in post(client, None)
    assert post(client, None, password="") == ""


def test_an_editor_without_the_permission_cannot_bind_a_secret_to_a_target_changed_in_the_database(
    warehouse: Connection,
) -> None:
    row = changed(warehouse, **MOVED)
    assert "takes the permission" in post(client_with(*EDITOR), row, **MOVED, max_parallel=9)
    with pytest.raises(SecretMissing):
        Connection.objects.get().parameters()


def test_a_user_with_the_permission_confirms_a_new_target_with_the_reference(warehouse: Connection) -> None:
    client = client_with(*EDITOR, "use_secret")
    content = post(client, warehouse, **MOVED)
    assert "would be sent to postgresql at evil.invalid:5432 as etl" in content
    assert "It was entered for postgresql at 127.0.0.1:5432 as etl." in content
    assert "would be sent" in post(client, warehouse, **MOVED, confirm_secret="$OTHER")
    assert post(client, warehouse, **MOVED, confirm_secret="$DW_PW") == ""
    assert Connection.objects.get().parameters().password == "canary-4417"
    # typing another reference confirms it
    assert post(client, warehouse, password="$OTHER") == ""
    assert Connection.objects.get().parameters().password == "canary-4418"


def test_a_superuser_confirms_a_new_target_with_the_reference(warehouse: Connection, admin_client: Client) -> None:
    assert "would be sent" in post(admin_client, warehouse, **MOVED)
    assert post(admin_client, warehouse, **MOVED, confirm_secret="$DW_PW") == ""


def test_the_page_shows_the_target_of_a_secret_and_its_other_users(warehouse: Connection, admin_client: Client) -> None:
    WarehouseFactory.create(name="second")
    page = admin_client.get(reverse("admin:connections_connection_change", args=[warehouse.pk])).content.decode()
    assert "$DW_PW: bound to postgresql at 127.0.0.1:5432 as etl; used by" in page
    assert ">second</a>" in page
    assert "canary" not in page
    viewer = client_with("view_connection")
    response = viewer.get(reverse("admin:connections_connection_change", args=[warehouse.pk]))
    assert (response.status_code, "confirm_secret" in response.content.decode()) == (200, False)


FILE = "connections: {dw: {driver: postgresql, jdbc_url: 'jdbc:postgresql://127.0.0.9/dw', username: etl%s}}"


def load(text: str) -> None:
    import_export.load(text, name="config.yaml", actor="importconfig")


def test_a_reference_in_an_imported_file_confirms_the_target(warehouse: Connection) -> None:
    load(FILE % ", password: $DW_PW")
    assert Connection.objects.get().parameters().password == "canary-4417"


def test_an_imported_file_without_a_reference_cannot_change_the_target(warehouse: Connection) -> None:
    with pytest.raises(FileInvalid, match="give password too, to allow the secret to be sent there"):
        load(FILE % "")
    assert Connection.objects.get().jdbc_url == URL


def test_importing_a_file_with_the_reference_binds_an_unbound_secret(warehouse: Connection) -> None:
    load(FILE % ", password: $DW_PW")
    changed(warehouse, secret_binding=None)
    load("connections: {dw: {max_parallel: 7}}")
    with pytest.raises(SecretMissing):
        Connection.objects.get().parameters()
    load(FILE % ", password: $DW_PW")
    assert Connection.objects.get().parameters().password == "canary-4417"

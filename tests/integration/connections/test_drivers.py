"""Synchronizing the driver table with the manifests of the installed kinds. Edited values are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
import uvicorn
from django.apps import apps
from django.core.management import call_command
from django.db import connection as metadata
from django.test import Client
from django.urls import reverse

from connections import registry
from connections.models import Connection, Driver
from connections.sdk.manifest import Manifest
from tests.factories import ConnectionFactory
from tests.servers.ports import reserved_port

pytestmark = pytest.mark.django_db


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Manifest]:
    """Change a kind's manifest, or install a kind with the manifest of another."""

    def change(kind: str, *, like: str = "", **values: Any) -> Manifest:
        manifest = replace(registry.manifest(like or kind), name=kind, **values)
        manifests = {**registry.manifests(), kind: manifest}
        monkeypatch.setattr(registry, "manifests", lambda: manifests)
        return manifest

    return change


def test_a_driver_is_added_for_a_newly_installed_kind(declare: Callable[..., Manifest]) -> None:
    declare("foo", like="h2", title="Foo")
    Driver.objects.synchronize()
    row = Driver.objects.get(kind="foo")
    assert (row.name, row.class_name) == ("Foo", "org.h2.Driver")
    assert row.unusable_reason.startswith("There is no driver kind")


def test_pages_change_no_drivers_and_the_server_adds_new_ones_when_it_starts(
    declare: Callable[..., Manifest], admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare("foo", like="h2", title="Foo")
    assert admin_client.get(reverse("admin:connections_driver_changelist")).status_code == 200
    assert not Driver.objects.filter(kind="foo").exists()
    monkeypatch.setattr(uvicorn, "run", lambda application, **options: None)
    # the transaction of the test is in it
    monkeypatch.setattr(metadata, "close", lambda: None)
    with reserved_port() as port:
        call_command("serve", port=port)
    assert Driver.objects.filter(kind="foo").exists()


def test_a_changed_manifest_updates_only_values_that_were_not_edited(declare: Callable[..., Manifest]) -> None:
    jdbc = registry.manifest("h2").jdbc
    assert jdbc is not None
    Driver.objects.filter(kind="h2").update(name="Our H2", jar_file="h2.jar", sha256="0" * 64)
    declare("h2", title="H2 Database", jdbc=replace(jdbc, maven="com.h2database:h2:9.9.9"))
    Driver.objects.synchronize()
    row = Driver.objects.get(kind="h2")
    assert (row.name, row.maven) == ("Our H2", "com.h2database:h2:9.9.9")
    assert (row.jar_file, row.sha256) == ("h2.jar", "0" * 64)
    row.name = "H2"
    row.save()
    declare("h2", title="H2 again")
    Driver.objects.synchronize()
    assert Driver.objects.get(kind="h2").name == "H2"


def test_synchronizing_unchanged_manifests_takes_one_query(django_assert_num_queries: Any) -> None:
    Driver.objects.synchronize()
    with django_assert_num_queries(1):
        Driver.objects.synchronize()


def test_the_migration_records_edited_values_as_edited() -> None:
    migration = import_module("connections.migrations.0004_driver_declared")
    Driver.objects.filter(kind="oracle").update(name="Oracle of the ERP", maven="com.oracle:old:1.0.0", declared={})
    Driver.objects.filter(kind="mysql").update(
        name="MySQL / MariaDB", maven="org.mariadb.jdbc:mariadb-java-client:3.5.3"
    )
    migration.record(apps, metadata.schema_editor())
    Driver.objects.synchronize()
    oracle = Driver.objects.get(kind="oracle")
    assert (oracle.name, oracle.maven) == ("Oracle of the ERP", "com.oracle:old:1.0.0")
    mysql = registry.manifest("mysql")
    assert mysql.jdbc is not None
    row = Driver.objects.get(kind="mysql")
    assert (row.name, row.maven) == (mysql.title, mysql.jdbc.maven)


def test_a_driver_whose_kind_is_no_longer_installed_is_kept_with_its_connections() -> None:
    driver = Driver.objects.create(kind="gone", name="Gone", url_template="gone://{host}")
    row = ConnectionFactory.create(
        driver=driver, jdbc_url="gone://h/db", password="$GONE_PW", options={"key": "$GONE_KEY", "n": 5}
    )
    Driver.objects.synchronize()
    assert Driver.objects.get(kind="gone").url_template == "gone://{host}"
    assert Driver.objects.get(kind="gone").manifest is None
    assert Connection.objects.get(pk=row.pk).references() == ["$GONE_KEY", "$GONE_PW"]


def test_the_page_of_a_driver_lists_the_properties_without_effect(admin_client: Client) -> None:
    page = reverse("admin:connections_driver_change", args=[Driver.objects.get(kind="sqlite").pk])
    assert "Accepted without effect: cache_size." in admin_client.get(page).content.decode()


def test_the_page_of_a_driver_lists_the_options_with_their_defaults(admin_client: Client) -> None:
    page = reverse("admin:connections_driver_change", args=[Driver.objects.get(kind="duckdb").pk])
    content = admin_client.get(page).content.decode()
    assert (
        "create: Create the file when it does not exist; otherwise a missing file is an error. Default: false"
        in content
    )
    assert "memory_limit: Maximum memory" in content

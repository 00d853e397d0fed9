"""Connections to a PostgreSQL database with Pipekit's metadata are refused, whatever their URL."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from connections import own_metadata, registry
from connections.connectors.postgresql.copy.adbc_rows import AdbcRows
from connections.connectors.postgresql.own_metadata import SERVER_DATABASE
from connections.sdk.errors import PermissionDenied, Protected
from connections.sdk.files.protection import METADATA_TABLES, ServerDatabase
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import WriteTarget
from connections.sdk.schema import TableName
from tests.harness.bench import Bench
from tests.harness.small_databases import job, postgresql
from tests.processes.install import Install
from tests.processes.jrunner import run_job


def assert_refused(parameters: ConnectionParameters) -> None:
    """Assert that the database can neither be connected to, nor read from, nor written to."""
    connector = registry.connector("postgresql")
    assert connector.reader and connector.writer
    batches = connector.reader.read(parameters, "SELECT 1 AS n", (), batch_bytes=1000)
    for use in (
        lambda: connector.connect(parameters),
        lambda: list(batches),
        lambda: connector.writer.write(
            WriteTarget(parameters=parameters, table=TableName("", "t"), columns=()), batches
        ),
    ):
        with pytest.raises(Protected):
            use()


def create_metadata(url: str, schema: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}".encode())
        for table in METADATA_TABLES:
            connection.execute(f"CREATE TABLE {schema}.{table} (id integer)".encode())


@pytest.mark.parametrize("schema", ["public", "pipekit"])
def test_a_database_with_the_tables_of_the_metadata_in_any_schema_is_refused(schema: str, database_url: str) -> None:
    create_metadata(database_url, schema)
    parameters = ConnectionParameters(kind="postgresql", url=database_url, name="sly")
    assert_refused(parameters)
    # whatever the search_path
    assert_refused(replace(parameters, options={"session": {"search_path": "pg_temp"}}))


def test_a_user_without_privileges_on_the_metadata_is_refused(database_url: str) -> None:
    create_metadata(database_url, "private")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE powerless LOGIN")
    try:
        assert_refused(
            ConnectionParameters(kind="postgresql", url=database_url.replace("postgres:@", "powerless@"), name="sly")
        )
    finally:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("DROP ROLE powerless")


def test_a_database_with_only_some_of_the_table_names_is_allowed(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE auth_user (id integer); CREATE TABLE django_migrations (id integer)")
        connection.execute("CREATE SCHEMA other; CREATE TABLE other.module (id integer)")
        connection.execute("CREATE TABLE other.connection (id integer); CREATE TABLE other.run_log (id integer)")
    with closing(registry.connector("postgresql").connect(ConnectionParameters(kind="postgresql", url=database_url))):
        pass


def test_the_metadata_database_is_refused_by_its_oid_and_another_of_the_server_is_allowed(
    new_database: Callable[[], str],
) -> None:
    metadata, other = new_database(), new_database()
    with psycopg.connect(metadata) as connection:
        row: Any = connection.execute(SERVER_DATABASE.encode()).fetchone()
    parameters = ConnectionParameters(kind="postgresql", url=metadata, name="sly")
    database = ServerDatabase(system_identifier=row[0], oid=row[1])
    parameters = replace(parameters, protection=replace(parameters.protection, databases=(database,)))
    assert_refused(parameters)
    registry.connector("postgresql").connect(replace(parameters, url=other)).close()
    destination = postgresql(other)
    destination.execute("CREATE TABLE t (n integer)")
    result = run_job(replace(job(destination, "SELECT 1 AS n", destination), source=parameters))
    assert (result.code, result.last["error"]["code"]) == (1, "protected")


def test_a_server_that_hides_its_identity_is_allowed_unless_it_has_the_metadata(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    database = ServerDatabase(system_identifier="1", oid="1")
    parameters = ConnectionParameters(kind="postgresql", url=url.replace("postgres:@", "asker@"), name="sly")
    parameters = replace(parameters, protection=replace(parameters.protection, databases=(database,)))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE ROLE asker LOGIN")
        connection.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
        connection.execute("CREATE TABLE t (n integer); GRANT ALL ON t TO asker")
    try:
        system = postgresql(parameters.url)
        system.parameters = parameters
        result = run_job(job(system, "SELECT 1::numeric AS n", system))
        assert (result.code, result.last["route"]) == (0, "arrow"), result.log
        create_metadata(url, "public")
        assert_refused(parameters)
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC")
            connection.execute("DROP OWNED BY asker; DROP ROLE asker")


def test_a_server_without_pg_control_system_is_allowed_on_every_route(
    database_url: str,
) -> None:
    database = ServerDatabase(system_identifier="1", oid="1")
    parameters = ConnectionParameters(kind="postgresql", url=database_url, name="sly")
    parameters = replace(parameters, protection=replace(parameters.protection, databases=(database,)))
    with psycopg.connect(database_url, autocommit=True) as connection:
        # changes only this database
        connection.execute("SET allow_system_table_mods = on")
        connection.execute("ALTER FUNCTION pg_catalog.pg_control_system() RENAME TO pg_control_nothing")
        connection.execute("CREATE TABLE t (n integer)")
    system = postgresql(parameters.url)
    system.parameters = parameters
    for query, route in (("SELECT 1 AS n", "raw"), ("SELECT 1::numeric AS n", "arrow")):
        result = run_job(job(system, query, system))
        assert (result.code, result.last.get("route")) == (0, route), result.log
    create_metadata(database_url, "public")
    assert_refused(parameters)


def test_a_reader_that_cannot_check_for_the_metadata_reads_nothing(database_url: str) -> None:
    parameters = ConnectionParameters(kind="postgresql", url=database_url.replace("postgres:@", "blind@"), name="sly")
    rows = AdbcRows(parameters, "SELECT 1 AS n", (), (), batch_bytes=1000)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE blind LOGIN")
        connection.execute("REVOKE SELECT ON pg_catalog.pg_class FROM PUBLIC")
    try:
        # the reader checks on its own connection, which may lead to another server than the one before
        with pytest.raises(PermissionDenied), rows.opened():
            pass
    finally:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("DROP ROLE blind")


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("jdbc:postgresql://localhost/meta", True),
        ("jdbc:postgresql://127.0.0.1:5432/meta", True),
        ("postgresql:///meta?host=/run/postgresql", True),
        ("postgresql://etl@[::1]/meta", True),
        ("jdbc:postgresql://127.0.0.1:5433/meta", False),
        ("jdbc:postgresql://127.0.0.1/other", False),
        ("jdbc:postgresql://db.invalid/meta", False),
    ],
)
def test_a_url_of_the_metadata_is_refused_when_the_connection_is_saved(
    url: str, same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Metadata:
        vendor = "postgresql"
        settings_dict = {"HOST": "localhost", "PORT": "", "NAME": "meta", "OPTIONS": {}}

    monkeypatch.setattr(own_metadata, "metadata", Metadata)
    if same:
        with pytest.raises(Protected):
            own_metadata.check_url(url, "postgresql")
    else:
        own_metadata.check_url(url, "postgresql")


@pytest.mark.matrix
def test_an_install_refuses_its_metadata_when_a_connection_is_saved_and_when_it_is_used(
    new_database: Callable[[], str], bench: Bench, tmp_path: Path
) -> None:
    install = Install(tmp_path, new_database())
    install.configure(bench, "orders")
    server = urlsplit(install.database)
    same_database = urlunsplit(server._replace(query=server.query.replace("host=/", "host=//")))
    file = tmp_path / "sly.yaml"
    file.write_text(f"version: 1\nconnections:\n  sly: {{driver: postgresql, jdbc_url: '{install.database}'}}\n")
    result = install.manage("importconfig", str(file))
    assert result.code != 0 and "metadata" in result.err
    with psycopg.connect(install.database, autocommit=True) as connection:
        connection.execute("UPDATE connection SET jdbc_url = %s WHERE name = 'erp'", (same_database,))
        connection.execute(
            "UPDATE connection SET driver_id = (SELECT id FROM driver WHERE kind = 'postgresql') WHERE name = 'erp'"
        )
    result = install.manage("runmodule", "orders", "--json")
    assert result.code == 1 and result.json["error"]["code"] == "protected", result.err
    assert install.manage("testconnection", "erp", "--json").json["error"]["code"] == "protected"

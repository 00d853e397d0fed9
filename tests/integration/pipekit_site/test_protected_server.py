"""Metadata in PostgreSQL: a connection to its database is refused by any name, a connection to another is not."""

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
from connections.connectors.postgresql.copy.reader import PostgresqlBatches
from connections.connectors.postgresql.metadata import SERVER_DATABASE
from connections.sdk.errors import PermissionDenied, Protected
from connections.sdk.files.protection import METADATA_TABLES, ServerDatabase
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Target
from connections.sdk.schema import TableName
from tests.benches.bench import Bench
from tests.benches.small_databases import job, postgresql
from tests.processes.install import Install
from tests.processes.jrunner import run_job


def refused(parameters: ConnectionParameters) -> None:
    connector = registry.connector("postgresql")
    assert connector.reader and connector.writer
    batches = connector.reader.read(parameters, "SELECT 1 AS n", (), batch_bytes=1000)
    for use in (
        lambda: connector.connect(parameters),
        lambda: list(batches),
        lambda: connector.writer.write(Target(parameters=parameters, table=TableName("", "t"), columns=()), batches),
    ):
        with pytest.raises(Protected):
            use()


def make_metadata(url: str, schema: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}".encode())
        for table in METADATA_TABLES:
            connection.execute(f"CREATE TABLE {schema}.{table} (id integer)".encode())


@pytest.mark.parametrize("schema", ["public", "pipekit"])
def test_a_database_with_the_metadatas_tables_is_refused_in_whatever_schema(schema: str, database_url: str) -> None:
    make_metadata(database_url, schema)
    given = ConnectionParameters(kind="postgresql", url=database_url, name="sly")
    refused(given)
    # a search_path of one's own decides nothing
    refused(replace(given, options={"session": {"search_path": "pg_temp"}}))


def test_a_user_without_any_rights_there_is_refused_as_well(database_url: str) -> None:
    make_metadata(database_url, "private")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE powerless LOGIN")
    try:
        refused(
            ConnectionParameters(kind="postgresql", url=database_url.replace("postgres:@", "powerless@"), name="sly")
        )
    finally:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("DROP ROLE powerless")


def test_a_database_with_some_of_these_names_is_an_ordinary_one(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE auth_user (id integer); CREATE TABLE django_migrations (id integer)")
        connection.execute("CREATE SCHEMA other; CREATE TABLE other.module (id integer)")
        connection.execute("CREATE TABLE other.connection (id integer); CREATE TABLE other.run_log (id integer)")
    with closing(registry.connector("postgresql").connect(ConnectionParameters(kind="postgresql", url=database_url))):
        pass


def test_the_very_database_is_refused_by_server_and_database_and_its_neighbour_is_not(
    new_database: Callable[[], str],
) -> None:
    own, neighbour = new_database(), new_database()
    with psycopg.connect(own) as connection:
        found: Any = connection.execute(SERVER_DATABASE.encode()).fetchone()
    given = ConnectionParameters(kind="postgresql", url=own, name="sly")
    database = ServerDatabase(system_identifier=found[0], oid=found[1])
    given = replace(given, protection=replace(given.protection, databases=(database,)))
    refused(given)
    registry.connector("postgresql").connect(replace(given, url=neighbour)).close()
    destination = postgresql(neighbour)
    destination.execute("CREATE TABLE t (n integer)")
    ended = run_job(replace(job(destination, "SELECT 1 AS n", destination), source=given))
    assert (ended.code, ended.last["error"]["code"]) == (1, "protected")


def test_a_server_that_does_not_say_which_it_is_can_be_used_and_its_metadata_still_cannot(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    database = ServerDatabase(system_identifier="1", oid="1")
    given = ConnectionParameters(kind="postgresql", url=url.replace("postgres:@", "asker@"), name="sly")
    given = replace(given, protection=replace(given.protection, databases=(database,)))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE ROLE asker LOGIN")
        connection.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
        connection.execute("CREATE TABLE t (n integer); GRANT ALL ON t TO asker")
    try:
        asker = postgresql(given.url)
        asker.parameters = given
        ended = run_job(job(asker, "SELECT 1::numeric AS n", asker))
        assert (ended.code, ended.last["route"]) == (0, "arrow"), ended.log
        make_metadata(url, "public")
        refused(given)
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC")
            connection.execute("DROP OWNED BY asker; DROP ROLE asker")


def test_a_server_without_the_function_that_says_which_it_is_can_be_used_on_every_route(
    database_url: str,
) -> None:
    database = ServerDatabase(system_identifier="1", oid="1")
    given = ConnectionParameters(kind="postgresql", url=database_url, name="sly")
    given = replace(given, protection=replace(given.protection, databases=(database,)))
    with psycopg.connect(database_url, autocommit=True) as connection:
        # in this database alone
        connection.execute("SET allow_system_table_mods = on")
        connection.execute("ALTER FUNCTION pg_catalog.pg_control_system() RENAME TO pg_control_nothing")
        connection.execute("CREATE TABLE t (n integer)")
    asker = postgresql(given.url)
    asker.parameters = given
    for query, route in (("SELECT 1 AS n", "raw"), ("SELECT 1::numeric AS n", "arrow")):
        ended = run_job(job(asker, query, asker))
        assert (ended.code, ended.last.get("route")) == (0, route), ended.log
    make_metadata(database_url, "public")
    refused(given)


def test_a_reader_that_may_not_look_for_the_metadatas_tables_reads_nothing(database_url: str) -> None:
    given = ConnectionParameters(kind="postgresql", url=database_url.replace("postgres:@", "blind@"), name="sly")
    batches = PostgresqlBatches(given, "SELECT 1 AS n", (), 1000)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE blind LOGIN")
        connection.execute("REVOKE SELECT ON pg_catalog.pg_class FROM PUBLIC")
    try:
        # by itself: another server may answer here than the one that was asked before
        with pytest.raises(PermissionDenied), batches._opened():
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
def test_what_names_tell_is_told_when_a_connection_is_saved(
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
def test_an_install_with_its_metadata_there_refuses_it_when_saved_and_when_run(
    new_database: Callable[[], str], bench: Bench, tmp_path: Path
) -> None:
    install = Install(tmp_path, new_database())
    install.configure(bench, "orders")
    server = urlsplit(install.database)
    elsewhere = urlunsplit(server._replace(query=server.query.replace("host=/", "host=//")))
    file = tmp_path / "sly.yaml"
    file.write_text(f"version: 1\nconnections:\n  sly: {{driver: postgresql, jdbc_url: '{install.database}'}}\n")
    done = install.manage("importconfig", str(file))
    assert done.code != 0 and "metadata" in done.err
    with psycopg.connect(install.database, autocommit=True) as connection:
        connection.execute("UPDATE connection SET jdbc_url = %s WHERE name = 'erp'", (elsewhere,))
        connection.execute(
            "UPDATE connection SET driver_id = (SELECT id FROM driver WHERE kind = 'postgresql') WHERE name = 'erp'"
        )
    done = install.manage("runmodule", "orders", "--json")
    assert done.code == 1 and done.json["error"]["code"] == "protected", done.err
    assert install.manage("testconnection", "erp", "--json").json["error"]["code"] == "protected"

"""Verification between PostgreSQL and a file where the server cannot compute the shared hash: all rows are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.harness.bench import Bench
from tests.harness.verification import counts, reason_for_reading, run_verification, verify_on_server

pytestmark = [pytest.mark.matrix, pytest.mark.usefixtures("transfer_in_process")]


def test_all_rows_are_read_if_a_column_cannot_be_hashed_by_the_server(between: Callable[[str, str], Bench]) -> None:
    pair = between("postgresql", "duckdb")
    pair.at_source("CREATE TABLE s (id integer, j jsonb, v text)", "INSERT INTO s VALUES (1, '[1]', 'a')")
    query = "SELECT id AS id, j AS j, v AS v FROM s"
    pair.run(pair.plan(query))
    assert reason_for_reading(pair, query).startswith("column “j” (jsonb in PostgreSQL)")
    assert verify_on_server(pair, query, columns=("v",)) == (0, 0, 0)
    pair.at_destination("UPDATE sync.t SET j = '[2]'")
    assert counts(run_verification(pair, query)) == (0, 0, 1)


@pytest.mark.parametrize(
    ("native", "declared"),
    [
        ("numeric(9,2)", "DECIMAL(9,1)"),
        pytest.param("bigint", "INTEGER"),
        pytest.param("numeric", "DECIMAL(9,2)"),
        pytest.param("date", "TIMESTAMP"),
        pytest.param("timestamp", "TIMESTAMPTZ"),
        pytest.param("double precision", "FLOAT"),
        pytest.param("integer", "DOUBLE"),
        pytest.param("text", "TIMESTAMP"),
        pytest.param("text", "UUID"),
    ],
)
def test_all_rows_are_read_if_the_destination_s_type_could_change_a_value(
    between: Callable[[str, str], Bench], native: str, declared: str
) -> None:
    pair = between("postgresql", "duckdb")
    pair.at_source(f"CREATE TABLE s (id integer, v {native})")
    pair.at_destination("CREATE SCHEMA sync", f"CREATE TABLE sync.t (id INTEGER, v {declared})")
    assert reason_for_reading(pair, "SELECT id AS id, v AS v FROM s").startswith("column “v”")


def test_all_rows_are_read_if_the_key_ignores_case(between: Callable[[str, str], Bench]) -> None:
    pair = between("postgresql", "sqlite")
    pair.at_source("CREATE TABLE s (id text, v text)", "INSERT INTO s VALUES ('A', 'x')")
    pair.at_destination(
        'CREATE TABLE "sync.t" (id text COLLATE NOCASE PRIMARY KEY, v text)',
        """INSERT INTO "sync.t" VALUES ('a', 'x')""",
    )
    assert "by a collation of its own" in reason_for_reading(pair, "SELECT id AS id, v AS v FROM s")


def test_all_rows_are_read_if_the_server_refuses_md5(between: Callable[[str, str], Bench]) -> None:
    pair = between("postgresql", "duckdb")
    pair.at_source(
        "CREATE TABLE s (id integer)",
        "INSERT INTO s VALUES (1)",
        "CREATE FUNCTION public.md5(text) RETURNS text LANGUAGE plpgsql AS"
        " $$BEGIN RAISE EXCEPTION 'could not compute MD5 hash'; END$$",
    )
    pair.run(pair.plan("SELECT id AS id FROM s"))
    pair.source = replace(pair.source, options={"session": {"search_path": "public, pg_catalog"}})
    assert "could not compute MD5 hash" in reason_for_reading(pair, "SELECT id AS id FROM s")


def test_all_rows_are_read_if_the_server_has_another_encoding(between: Callable[[str, str], Bench]) -> None:
    pair = between("postgresql", "duckdb")
    name = urlsplit(pair.source.url).path.strip("/") + "_latin"
    pair.at_source(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    original = pair.source
    pair.source = replace(original, url=urlunsplit(urlsplit(original.url)._replace(path=f"/{name}")))
    try:
        pair.at_source("CREATE TABLE s (id integer, v text)", "INSERT INTO s VALUES (1, 'é')")
        pair.run(pair.plan("SELECT id AS id, v AS v FROM s"))
        assert "encodes text in LATIN1" in reason_for_reading(pair, "SELECT id AS id, v AS v FROM s")
    finally:
        pair.source = original
        pair.at_source(f"DROP DATABASE {name} WITH (FORCE)")

"""Tests of jrunner with jobs as the engine passes them on stdin: results, errors, and the secrets it never prints."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.acceptance.jrunner.test_command import erp as erp
from tests.harness.small_databases import System, duckdb, job, postgresql, sqlite
from tests.processes.jrunner import finish, run_job, start, start_job

_SECRET = "s3cr3t/pä ss'word"
_LARGE_LIBRARIES = ("pyarrow", "duckdb", "adbc_driver_manager", "sqlglot", "django", "pgpq")


def test_trailing_blanks_are_trimmed_on_the_raw_route(database_url: str) -> None:
    warehouse = postgresql(database_url)
    warehouse.execute(
        "CREATE TABLE s (v char(5), n integer)", "INSERT INTO s VALUES (' a', 1)", "CREATE TABLE t (v text, n int)"
    )
    outcome = run_job(job(warehouse, "SELECT v, n FROM s", warehouse, trim=True))
    assert outcome.last["route"] == "raw"
    assert warehouse.rows("SELECT v, n FROM t") == [(" a", 1)]


def test_without_a_job_the_loaded_process_of_a_run_that_has_ended_is_cancelled() -> None:
    outcome = finish(start(["--job", "-", "--load", "sqlite", "postgresql"]), stdin="")
    assert (outcome.code, outcome.last["error"]["code"]) == (130, "cancelled")


def test_an_invalid_job_is_a_configuration_error_and_its_passwords_are_not_shown() -> None:
    for text in "", "{}", '{"source": 1}', '{"source": {"password": "geheim"}, "query": 3}':
        outcome = finish(start(["--job", "-"]), stdin=text)
        assert (outcome.code, outcome.last["error"]["code"]) == (1, "configuration_invalid")
        assert "geheim" not in outcome.output + outcome.log


def _failing_sources(database_url: str) -> dict[str, System]:
    return {
        "connection_failed": System("postgresql", "jdbc:postgresql://127.0.0.1:1/x"),
        "table_missing": postgresql(database_url),
    }


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("code", ["connection_failed", "table_missing"])
@pytest.mark.parametrize("destination", ["postgresql", "sqlite"])
def test_an_error_of_the_server_shows_no_password(
    code: str, destination: str, database_url: str, tmp_path: Path
) -> None:
    source = _failing_sources(database_url)[code]
    source.parameters = replace(
        source.parameters, username="u" if code == "connection_failed" else "", password=_SECRET
    )
    target = postgresql(database_url) if destination == "postgresql" else sqlite(tmp_path / "d.db")
    target.execute("CREATE TABLE t (v text)")
    # the server's message repeats the query and the secret in it
    outcome = run_job(job(source, f"SELECT '{_SECRET.replace(chr(39), chr(39) * 2)}' FROM nowhere", target))
    assert (outcome.code, outcome.last["error"]["code"]) == (1, code)
    assert "s3cr3t" not in outcome.output + outcome.log


@pytest.mark.matrix
@pytest.mark.parametrize("column_type", ["timestamptz", pytest.param("text", marks=pytest.mark.matrix)])
def test_time_zone_and_locale_of_the_machine_have_no_effect(
    column_type: str, database_url: str, tmp_path: Path
) -> None:
    environment = {
        "TZ": "Asia/Kolkata",
        "LC_ALL": "de_DE.UTF-8",
        "LANG": "C",
        "PGTZ": "Asia/Kolkata",
        "PGDATESTYLE": "German",
        "PGOPTIONS": "-c intervalstyle=iso_8601",
        "PGCLIENTENCODING": "LATIN1",
        "PYTHONIOENCODING": "latin-1",
        "PYTHONUTF8": "0",
    }
    expression = "'2020-07-01 12:00:00+00'::timestamptz" + ("::text" if column_type == "text" else "")
    query = f"SELECT {expression} AS a, '1 mon 2 days'::interval AS i, 0.5::float8 AS f, '→ é' AS t"
    rows = []
    for target in (postgresql(database_url), duckdb(tmp_path / "d.duckdb")):
        target.execute(f"CREATE TABLE t (a {column_type}, i text, f double precision, t text)")
        assert run_job(job(postgresql(database_url), query, target), env=environment).code == 0
        rows.append(target.rows("SELECT CAST(a AS varchar), i, f, t FROM t"))
    assert rows == [[("2020-07-01 12:00:00+00", "1 mon 2 days", 0.5, "→ é")]] * 2


def test_names_of_tables_and_columns_may_contain_any_character(database_url: str, tmp_path: Path) -> None:
    awkward = ['a "b"', "select", "Ä" * 31 + "x", "x;--", "100%s {c} $1"]
    columns = ", ".join('"' + name.replace('"', '""') + '" integer' for name in awkward)
    for target in postgresql(database_url), duckdb(tmp_path / "d.duckdb"):
        target.execute('CREATE SCHEMA "my schema"', f'CREATE TABLE "my schema"."t %s"".x" ({columns})')
        outcome = run_job(job(target, "SELECT 1, 2, 3, 4, 5", target, '"my schema"."t %s"".x"'))
        assert outcome.code == 0, outcome.log
        assert target.rows('SELECT * FROM "my schema"."t %s"".x"') == [(1, 2, 3, 4, 5)]


def test_rows_that_a_trigger_discards_are_a_count_mismatch_and_nothing_is_written(
    database_url: str, erp: System
) -> None:
    warehouse = postgresql(database_url)
    warehouse.execute(
        "CREATE TABLE t (n integer)",
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF new.n = 2 THEN RETURN NULL; END IF; RETURN new; END $$",
        "CREATE TRIGGER swallow BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION swallow()",
    )
    for source, query in (warehouse, "SELECT generate_series(1, 3)"), (erp, "SELECT id FROM items"):
        outcome = run_job(job(source, query, warehouse))
        assert (outcome.code, outcome.last["error"]["code"]) == (1, "count_mismatch")
        assert warehouse.rows("SELECT * FROM t") == []


def test_the_table_is_not_cleared_if_the_transfer_fails(database_url: str, erp: System) -> None:
    warehouse = postgresql(database_url)
    warehouse.execute("CREATE TABLE t (n integer)", "INSERT INTO t VALUES (7)")
    for source, query in (warehouse, "SELECT 1 / (3 - n) FROM generate_series(1, 3) n"), (erp, "SELECT 'x'"):
        outcome = run_job(job(source, query, warehouse, clear=True))
        assert (outcome.code, outcome.last["error"]["code"]) == (1, "value_misfit")
        assert warehouse.rows("SELECT * FROM t") == [(7,)]


def test_nul_bytes_are_removed_and_counted_with_the_option_strip(database_url: str, erp: System) -> None:
    erp.execute("UPDATE items SET note = 'a' || char(0) || 'b' || char(0)")
    warehouse = postgresql(database_url)
    warehouse.execute("CREATE TABLE t (id integer, note text)")
    outcome = run_job(job(erp, "SELECT id, note FROM items", warehouse, options={"nul_bytes": "strip"}))
    assert outcome.code == 0
    assert [event["message"] for event in outcome.events if event["event"] == "warning"] == [
        "NUL bytes were removed from 2 values of column “note”."
    ]
    assert warehouse.rows("SELECT note FROM t") == [("ab",), ("ab",)]


def test_the_raw_route_imports_no_large_library(database_url: str) -> None:
    warehouse = postgresql(database_url)
    warehouse.execute("CREATE TABLE t (n integer)")
    outcome = finish(start_job(job(warehouse, "SELECT 1", warehouse), env={"PYTHONPROFILEIMPORTTIME": "1"}))
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in outcome.log.splitlines() if "|" in line}
    assert outcome.last["route"] == "raw"
    assert "asyncpg" in imported
    assert not imported.intersection(_LARGE_LIBRARIES)


def test_a_closed_output_causes_no_traceback_and_the_rows_are_written(database_url: str) -> None:
    warehouse = postgresql(database_url)
    warehouse.execute("CREATE TABLE t (n integer)")
    process = start_job(job(warehouse, "SELECT 1", warehouse))
    assert process.stdout
    process.stdout.close()
    assert process.wait(timeout=120) in (0, 1)
    assert process.stderr
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert warehouse.rows("SELECT * FROM t") == [(1,)]


def test_a_job_is_unchanged_after_serialization(database_url: str, erp: System) -> None:
    from runs.jrunner.job import Job

    warehouse = postgresql(database_url)
    warehouse.execute("CREATE TABLE t (n numeric(10,2))")
    original = job(erp, "SELECT 1", warehouse, trim=True, clear=True, options={"nul_bytes": "strip"})
    assert Job.from_json(json.loads(json.dumps(original.as_json()))) == original


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("kind", ["postgresql", "sqlite", "duckdb"])
def test_a_query_with_another_number_of_columns_than_the_table_is_refused(
    kind: str, database_url: str, tmp_path: Path
) -> None:
    file_sources = {"sqlite": sqlite(tmp_path / "s.db"), "duckdb": duckdb(tmp_path / "s.duckdb")}
    source, warehouse = file_sources.get(kind, postgresql(database_url)), postgresql(database_url)
    source.execute("CREATE TABLE s (a integer)")
    warehouse.execute("CREATE TABLE t (a integer, b integer, c integer)")
    outcome = run_job(job(source, "SELECT 1, 2", warehouse))
    assert (outcome.code, outcome.last["error"]["code"]) == (1, "column_missing")

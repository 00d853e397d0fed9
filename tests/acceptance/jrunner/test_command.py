"""jrunner as a program: its flags, what it prints, and what it never prints."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.benches.small_databases import System, duckdb, job, postgresql, sqlite
from tests.processes.jrunner import finish, run, run_job, start, start_job

_SECRET = "s3cr3t/pä ss'word"
_HEAVY = ("pyarrow", "duckdb", "adbc_driver_manager", "sqlglot", "django", "pgpq")


@pytest.fixture
def erp(tmp_path: Path) -> System:
    made = sqlite(tmp_path / "erp.db")
    made.execute(
        "CREATE TABLE items (id integer, name char(10), price decimal(10,2), made date, note text)",
        "INSERT INTO items VALUES (1, 'bolt      ', 0.1, '2020-01-31', ''), (2, 'nut \t\"x\" ', NULL, NULL, NULL)",
    )
    return made


@pytest.fixture
def query(tmp_path: Path) -> str:
    file = tmp_path / "query.sql"
    file.write_text("SELECT id, name, price, made, note FROM items ORDER BY id;\n-- the end")
    return str(file)


def _flags(erp: System, query: str, warehouse: System) -> list[str]:
    return ["-scu", erp.parameters.url, "-dcu", warehouse.parameters.url, "-sq", query, "-dt", "sync.items"]


_TABLE = "SELECT id, name, price::text, made::text, note FROM sync.items ORDER BY id"
_ROWS = [(1, "bolt      ", "0.10", "2020-01-31", ""), (2, 'nut \t"x" ', None, None, None)]


def test_a_missing_table_is_created_from_the_types_of_the_query(erp: System, query: str, database_url: str) -> None:
    warehouse = postgresql(database_url)
    ended = run(*_flags(erp, query, warehouse))
    assert (ended.code, [event["event"] for event in ended.events][:1]) == (0, ["route"])
    assert ended.last.items() >= {"event": "done", "route": "arrow", "rows_read": 2, "rows_written": 2}.items()
    assert warehouse.rows(_TABLE) == _ROWS
    assert [column.dest_type for column in warehouse.columns("sync.items")] == [
        "bigint", "text", "numeric(10,2)", "date", "text",
    ]  # fmt: skip


def test_rows_are_added_unless_c_clears_the_table_first(erp: System, query: str, database_url: str) -> None:
    warehouse = postgresql(database_url)
    for flags, rows in ([], 2), ([], 4), (["-c"], 2):
        assert run(*_flags(erp, query, warehouse), *flags).code == 0
        assert warehouse.rows("SELECT count(*) FROM sync.items") == [(rows,)]


def test_t_trims_blanks_from_the_end_of_text(erp: System, query: str, database_url: str) -> None:
    warehouse = postgresql(database_url)
    assert run(*_flags(erp, query, warehouse), "-t").code == 0
    assert warehouse.rows("SELECT name FROM sync.items ORDER BY id") == [("bolt",), ('nut \t"x"',)]


def test_t_trims_on_the_raw_route_too(database_url: str) -> None:
    warehouse = postgresql(database_url)
    warehouse.execute(
        "CREATE TABLE s (v char(5), n integer)", "INSERT INTO s VALUES (' a', 1)", "CREATE TABLE t (v text, n int)"
    )
    ended = run_job(job(warehouse, "SELECT v, n FROM s", warehouse, trim=True))
    assert ended.last["route"] == "raw"
    assert warehouse.rows("SELECT v, n FROM t") == [(" a", 1)]


def test_an_existing_table_is_matched_by_name_or_else_by_position(
    erp: System, tmp_path: Path, database_url: str
) -> None:
    warehouse = postgresql(database_url)
    warehouse.execute(
        "CREATE TABLE named (note text, id integer, extra text)", "CREATE TABLE placed (a integer, b text)"
    )
    query = tmp_path / "q.sql"
    query.write_text("SELECT id, name AS note FROM items WHERE id = 1")
    for table, rows in ("named", [("bolt      ", 1, None)]), ("placed", [(1, "bolt      ")]):
        ended = run("-scu", erp.parameters.url, "-dcu", database_url, "-sq", str(query), "-dt", table)
        assert ended.code == 0, ended.log
        assert warehouse.rows(f"SELECT * FROM {table}") == rows


def test_a_generated_column_takes_no_place_of_the_query(erp: System, tmp_path: Path) -> None:
    target, query = sqlite(tmp_path / "target.db"), tmp_path / "two.sql"
    target.execute('CREATE TABLE "sync.items" (a integer, twice integer AS (a * 2) STORED, b text)')
    query.write_text("SELECT id, note FROM items")
    assert run(*_flags(erp, str(query), target)).code == 0
    assert target.rows('SELECT a, twice, b FROM "sync.items" ORDER BY a') == [(1, 2, ""), (2, 4, None)]


def test_a_failed_run_takes_away_the_table_it_created(erp: System, query: str, database_url: str) -> None:
    erp.execute("INSERT INTO items (id) VALUES ('x')")
    warehouse = postgresql(database_url)
    ended = run(*_flags(erp, query, warehouse))
    assert (ended.code, ended.last["error"]["code"]) == (1, "value_misfit")
    assert "“x”" in ended.last["error"]["message"]
    assert warehouse.rows("SELECT to_regclass('sync.items')::text") == [(None,)]


def test_csv_tells_null_from_the_empty_string(erp: System, query: str) -> None:
    ended = run("-scu", erp.parameters.url, "-sq", query, "-f", "csv")
    assert ended.code == 0
    lines = ended.output.splitlines()
    assert lines[0] == '"id","name","price","made","note"'
    assert lines[1] == '"1","bolt      ","0.10","2020-01-31",""'
    assert lines[2].endswith(",,,")
    assert next(csv.reader(io.StringIO(lines[2])))[1] == 'nut \t"x" '


def test_tsv_is_what_copy_reads(erp: System, query: str) -> None:
    ended = run("-scu", erp.parameters.url, "-sq", query, "-f", "tsv")
    assert ended.output == (
        'id\tname\tprice\tmade\tnote\n1\tbolt      \t0.10\t2020-01-31\t\n2\tnut \\t"x" \t\\N\t\\N\t\\N\n'
    )


def test_json_is_one_document_with_exact_numbers(database_url: str, tmp_path: Path) -> None:
    query = tmp_path / "q.sql"
    query.write_text(
        "SELECT 9007199254740993 AS n, 1.10::numeric(38,10) AS d, 'é\"' AS t, true AS b, NULL::text AS z, "
        "'NaN'::float8 AS f, 'infinity'::date AS i, '\\x00ff'::bytea AS x"
    )
    ended = run("-scu", database_url, "-sq", str(query), "-f", "json")
    assert json.loads(ended.output, parse_float=str) == [
        {"n": 9007199254740993, "d": "1.1000000000", "t": 'é"', "b": True, "z": None, "f": "nan", "i": "infinity",
         "x": "\\x00ff"}
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["csv", "tsv", "json"])
def test_a_failed_read_prints_no_rows(erp: System, query: str, form: str) -> None:
    erp.execute("INSERT INTO items VALUES (3, 'x', 'free', NULL, NULL)")
    ended = run("-scu", erp.parameters.url, "-sq", query, "-f", form)
    assert (ended.code, ended.output) == (1, "")
    assert "“free”" in ended.log


def test_no_rows_print_an_empty_document(erp: System, tmp_path: Path) -> None:
    query = tmp_path / "q.sql"
    query.write_text("SELECT id, note FROM items WHERE false")
    printed = [run("-scu", erp.parameters.url, "-sq", str(query), "-f", form).output for form in ("csv", "tsv", "json")]
    assert printed == ['"id","note"\n', "id\tnote\n", "[]\n"]


@pytest.mark.parametrize("flags", [[], ["-scu", "x.db"], ["-scu", "x.db", "-sq", "q"], ["-f", "xml"], ["-scuu", "x"]])
def test_wrong_usage_is_told_with_exit_code_2(flags: Sequence[str]) -> None:
    ended = run(*flags)
    assert ended.code == 2
    assert "usage:" in ended.log


def test_a_job_that_is_none_is_one_clear_error() -> None:
    for text in "", "{}", '{"source": 1}', '{"source": {"password": "geheim"}, "query": 3}':
        ended = finish(start(["--job", "-"]), stdin=text)
        assert (ended.code, ended.last["error"]["code"]) == (1, "configuration_invalid")
        assert "geheim" not in ended.output + ended.log


def _failures(database_url: str) -> dict[str, System]:
    return {
        "connection_failed": System("postgresql", "jdbc:postgresql://127.0.0.1:1/x"),
        "table_missing": postgresql(database_url),
    }


@pytest.mark.parametrize("code", ["connection_failed", "table_missing"])
@pytest.mark.parametrize("destination", ["postgresql", "sqlite"])
def test_a_password_is_in_no_output(code: str, destination: str, database_url: str, tmp_path: Path) -> None:
    source = _failures(database_url)[code]
    source.parameters = replace(
        source.parameters, username="u" if code == "connection_failed" else "", password=_SECRET
    )
    target = postgresql(database_url) if destination == "postgresql" else sqlite(tmp_path / "d.db")
    target.execute("CREATE TABLE t (v text)")
    # the secret in the query comes back in the server's message
    ended = run_job(job(source, f"SELECT '{_SECRET.replace(chr(39), chr(39) * 2)}' FROM nowhere", target))
    assert (ended.code, ended.last["error"]["code"]) == (1, code)
    assert "s3cr3t" not in ended.output + ended.log


@pytest.mark.parametrize(("given", "stdin"), [("$MY_PASSWORD", ""), ("-", "from stdin\n")])
def test_a_password_by_hand_need_not_be_an_argument(
    given: str, stdin: str, erp: System, query: str, database_url: str
) -> None:
    warehouse = postgresql(database_url)
    ended = run(*_flags(erp, query, warehouse), "-dcp", given, env={"MY_PASSWORD": _SECRET}, stdin=stdin)
    assert ended.code == 0, ended.log
    assert warehouse.rows("SELECT count(*) FROM sync.items") == [(2,)]


def test_a_password_variable_that_is_not_set_is_one_clear_error(erp: System, query: str, database_url: str) -> None:
    ended = run(*_flags(erp, query, postgresql(database_url)), "-dcp", "$NOT_SET_ANYWHERE")
    assert (ended.code, ended.last["error"]["code"]) == (1, "secret_missing")
    assert "NOT_SET_ANYWHERE" in ended.last["error"]["message"]


@pytest.mark.parametrize("wanted", ["timestamptz", "text"])
def test_the_machine_s_settings_change_nothing(wanted: str, database_url: str, tmp_path: Path) -> None:
    odd = {
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
    expression = "'2020-07-01 12:00:00+00'::timestamptz" + ("::text" if wanted == "text" else "")
    query = f"SELECT {expression} AS a, '1 mon 2 days'::interval AS i, 0.5::float8 AS f, '→ é' AS t"
    found = []
    for target in (postgresql(database_url), duckdb(tmp_path / "d.duckdb")):
        target.execute(f"CREATE TABLE t (a {wanted}, i text, f double precision, t text)")
        assert run_job(job(postgresql(database_url), query, target), env=odd).code == 0
        found.append(target.rows("SELECT CAST(a AS varchar), i, f, t FROM t"))
    assert found == [[("2020-07-01 12:00:00+00", "1 mon 2 days", 0.5, "→ é")]] * 2


def test_names_may_hold_anything(database_url: str, tmp_path: Path) -> None:
    awkward = ['a "b"', "select", "Ä" * 31 + "x", "x;--", "100%s {c} $1"]
    columns = ", ".join('"' + name.replace('"', '""') + '" integer' for name in awkward)
    for target in postgresql(database_url), duckdb(tmp_path / "d.duckdb"):
        target.execute('CREATE SCHEMA "my schema"', f'CREATE TABLE "my schema"."t %s"".x" ({columns})')
        ended = run_job(job(target, "SELECT 1, 2, 3, 4, 5", target, '"my schema"."t %s"".x"'))
        assert ended.code == 0, ended.log
        assert target.rows('SELECT * FROM "my schema"."t %s"".x"') == [(1, 2, 3, 4, 5)]


def test_rows_that_a_trigger_swallows_are_a_count_mismatch_and_nothing_stays(database_url: str, erp: System) -> None:
    warehouse = postgresql(database_url)
    warehouse.execute(
        "CREATE TABLE t (n integer)",
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF new.n = 2 THEN RETURN NULL; END IF; RETURN new; END $$",
        "CREATE TRIGGER swallow BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION swallow()",
    )
    for source, query in (warehouse, "SELECT generate_series(1, 3)"), (erp, "SELECT id FROM items"):
        ended = run_job(job(source, query, warehouse))
        assert (ended.code, ended.last["error"]["code"]) == (1, "count_mismatch")
        assert warehouse.rows("SELECT * FROM t") == []


def test_clearing_is_undone_when_the_rows_fail(database_url: str, erp: System) -> None:
    warehouse = postgresql(database_url)
    warehouse.execute("CREATE TABLE t (n integer)", "INSERT INTO t VALUES (7)")
    for source, query in (warehouse, "SELECT 1 / (3 - n) FROM generate_series(1, 3) n"), (erp, "SELECT 'x'"):
        ended = run_job(job(source, query, warehouse, clear=True))
        assert (ended.code, ended.last["error"]["code"]) == (1, "value_misfit")
        assert warehouse.rows("SELECT * FROM t") == [(7,)]


def test_nul_bytes_are_taken_out_when_asked_and_counted(database_url: str, erp: System) -> None:
    erp.execute("UPDATE items SET note = 'a' || char(0) || 'b' || char(0)")
    warehouse = postgresql(database_url)
    warehouse.execute("CREATE TABLE t (id integer, note text)")
    ended = run_job(job(erp, "SELECT id, note FROM items", warehouse, options={"nul_bytes": "strip"}))
    assert ended.code == 0
    assert [event["message"] for event in ended.events if event["event"] == "warning"] == [
        "NUL bytes were removed from 2 values of column “note”."
    ]
    assert warehouse.rows("SELECT note FROM t") == [("ab",), ("ab",)]


def test_the_raw_route_loads_no_heavy_library(database_url: str) -> None:
    warehouse = postgresql(database_url)
    warehouse.execute("CREATE TABLE t (n integer)")
    ended = finish(start_job(job(warehouse, "SELECT 1", warehouse), env={"PYTHONPROFILEIMPORTTIME": "1"}))
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in ended.log.splitlines() if "|" in line}
    assert ended.last["route"] == "raw"
    assert "asyncpg" in loaded
    assert not loaded.intersection(_HEAVY)


def test_a_reader_of_the_output_that_goes_away_is_no_disaster(database_url: str) -> None:
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


def test_the_job_of_the_engine_is_read_back_as_it_was(database_url: str, erp: System) -> None:
    from runs.jrunner.job import Job

    warehouse = postgresql(database_url)
    warehouse.execute("CREATE TABLE t (n numeric(10,2))")
    made = job(erp, "SELECT 1", warehouse, trim=True, clear=True, options={"nul_bytes": "strip"})
    assert Job.from_json(json.loads(json.dumps(made.as_json()))) == made


@pytest.mark.parametrize("kind", ["postgresql", "sqlite", "duckdb"])
def test_a_query_with_another_number_of_columns_is_one_clear_error(
    kind: str, database_url: str, tmp_path: Path
) -> None:
    made = {"sqlite": sqlite(tmp_path / "s.db"), "duckdb": duckdb(tmp_path / "s.duckdb")}
    source, warehouse = made.get(kind, postgresql(database_url)), postgresql(database_url)
    source.execute("CREATE TABLE s (a integer)")
    warehouse.execute("CREATE TABLE t (a integer, b integer, c integer)")
    ended = run_job(job(source, "SELECT 1, 2", warehouse))
    assert (ended.code, ended.last["error"]["code"]) == (1, "column_missing")

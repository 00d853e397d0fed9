"""Tests of jrunner with flags: tables that it fills, output formats, exit codes, and passwords."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.harness.small_databases import System, postgresql, sqlite
from tests.processes.jrunner import run

_SECRET = "s3cr3t/pä ss'word"


@pytest.fixture
def erp(tmp_path: Path) -> System:
    system = sqlite(tmp_path / "erp.db")
    system.execute(
        "CREATE TABLE items (id integer, name char(10), price decimal(10,2), made date, note text)",
        "INSERT INTO items VALUES (1, 'bolt      ', 0.1, '2020-01-31', ''), (2, 'nut \t\"x\" ', NULL, NULL, NULL)",
    )
    return system


@pytest.fixture
def query(tmp_path: Path) -> str:
    file = tmp_path / "query.sql"
    file.write_text("SELECT id, name, price, made, note FROM items ORDER BY id;\n-- the end")
    return str(file)


def _flags(erp: System, query: str, warehouse: System) -> list[str]:
    return ["-scu", erp.parameters.url, "-dcu", warehouse.parameters.url, "-sq", query, "-dt", "sync.items"]


_TABLE = "SELECT id, name, price::text, made::text, note FROM sync.items ORDER BY id"
_ROWS = [(1, "bolt      ", "0.10", "2020-01-31", ""), (2, 'nut \t"x" ', None, None, None)]


def test_a_missing_table_is_created_with_the_types_of_the_query(erp: System, query: str, database_url: str) -> None:
    warehouse = postgresql(database_url)
    outcome = run(*_flags(erp, query, warehouse))
    assert (outcome.code, [event["event"] for event in outcome.events][:1]) == (0, ["route"])
    assert outcome.last.items() >= {"event": "done", "route": "arrow", "rows_read": 2, "rows_written": 2}.items()
    assert warehouse.rows(_TABLE) == _ROWS
    assert [column.dest_type for column in warehouse.columns("sync.items")] == [
        "bigint", "text", "numeric(10,2)", "date", "text",
    ]  # fmt: skip


def test_rows_are_added_unless_the_flag_c_clears_the_table_first(erp: System, query: str, database_url: str) -> None:
    warehouse = postgresql(database_url)
    for flags, rows in ([], 2), ([], 4), (["-c"], 2):
        assert run(*_flags(erp, query, warehouse), *flags).code == 0
        assert warehouse.rows("SELECT count(*) FROM sync.items") == [(rows,)]


def test_the_flag_t_trims_trailing_blanks_of_text(erp: System, query: str, database_url: str) -> None:
    warehouse = postgresql(database_url)
    assert run(*_flags(erp, query, warehouse), "-t").code == 0
    assert warehouse.rows("SELECT name FROM sync.items ORDER BY id") == [("bolt",), ('nut \t"x"',)]


def test_columns_of_an_existing_table_are_matched_by_name_or_else_by_position(
    erp: System, tmp_path: Path, database_url: str
) -> None:
    warehouse = postgresql(database_url)
    warehouse.execute(
        "CREATE TABLE named (note text, id integer, extra text)", "CREATE TABLE placed (a integer, b text)"
    )
    query = tmp_path / "q.sql"
    query.write_text("SELECT id, name AS note FROM items WHERE id = 1")
    for table, rows in ("named", [("bolt      ", 1, None)]), ("placed", [(1, "bolt      ")]):
        outcome = run("-scu", erp.parameters.url, "-dcu", database_url, "-sq", str(query), "-dt", table)
        assert outcome.code == 0, outcome.log
        assert warehouse.rows(f"SELECT * FROM {table}") == rows


def test_generated_columns_are_skipped_when_columns_are_matched_by_position(erp: System, tmp_path: Path) -> None:
    target, query = sqlite(tmp_path / "target.db"), tmp_path / "two.sql"
    target.execute('CREATE TABLE "sync.items" (a integer, twice integer AS (a * 2) STORED, b text)')
    query.write_text("SELECT id, note FROM items")
    assert run(*_flags(erp, str(query), target)).code == 0
    assert target.rows('SELECT a, twice, b FROM "sync.items" ORDER BY a') == [(1, 2, ""), (2, 4, None)]


def test_a_failed_transfer_drops_the_table_that_it_has_created(erp: System, query: str, database_url: str) -> None:
    erp.execute("INSERT INTO items (id) VALUES ('x')")
    warehouse = postgresql(database_url)
    outcome = run(*_flags(erp, query, warehouse))
    assert (outcome.code, outcome.last["error"]["code"]) == (1, "value_misfit")
    assert "“x”" in outcome.last["error"]["message"]
    assert warehouse.rows("SELECT to_regclass('sync.items')::text") == [(None,)]


def test_csv_distinguishes_null_from_the_empty_string(erp: System, query: str) -> None:
    outcome = run("-scu", erp.parameters.url, "-sq", query, "-f", "csv")
    assert outcome.code == 0
    lines = outcome.output.splitlines()
    assert lines[0] == '"id","name","price","made","note"'
    assert lines[1] == '"1","bolt      ","0.10","2020-01-31",""'
    assert lines[2].endswith(",,,")
    assert next(csv.reader(io.StringIO(lines[2])))[1] == 'nut \t"x" '


def test_tsv_output_has_the_format_that_copy_reads(erp: System, query: str) -> None:
    outcome = run("-scu", erp.parameters.url, "-sq", query, "-f", "tsv")
    assert outcome.output == (
        'id\tname\tprice\tmade\tnote\n1\tbolt      \t0.10\t2020-01-31\t\n2\tnut \\t"x" \t\\N\t\\N\t\\N\n'
    )


def test_json_output_is_one_document_with_exact_numbers(database_url: str, tmp_path: Path) -> None:
    query = tmp_path / "q.sql"
    query.write_text(
        "SELECT 9007199254740993 AS n, 1.10::numeric(38,10) AS d, 'é\"' AS t, true AS b, NULL::text AS z, "
        "'NaN'::float8 AS f, 'infinity'::date AS i, '\\x00ff'::bytea AS x"
    )
    outcome = run("-scu", database_url, "-sq", str(query), "-f", "json")
    assert json.loads(outcome.output, parse_float=str) == [
        {"n": 9007199254740993, "d": "1.1000000000", "t": 'é"', "b": True, "z": None, "f": "nan", "i": "infinity",
         "x": "\\x00ff"}
    ]  # fmt: skip


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("form", ["csv", "tsv", "json"])
def test_no_rows_are_printed_if_the_query_fails(erp: System, query: str, form: str) -> None:
    erp.execute("INSERT INTO items VALUES (3, 'x', 'free', NULL, NULL)")
    outcome = run("-scu", erp.parameters.url, "-sq", query, "-f", form)
    assert (outcome.code, outcome.output) == (1, "")
    assert "“free”" in outcome.log


def test_a_query_without_rows_prints_an_empty_document(erp: System, tmp_path: Path) -> None:
    query = tmp_path / "q.sql"
    query.write_text("SELECT id, note FROM items WHERE false")
    outputs = [run("-scu", erp.parameters.url, "-sq", str(query), "-f", form).output for form in ("csv", "tsv", "json")]
    assert outputs == ['"id","note"\n', "id\tnote\n", "[]\n"]


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("flags", [[], ["-scu", "x.db"], ["-scu", "x.db", "-sq", "q"], ["-f", "xml"], ["-scuu", "x"]])
def test_wrong_usage_exits_with_2_and_prints_the_usage(flags: Sequence[str]) -> None:
    outcome = run(*flags)
    assert outcome.code == 2
    assert "usage:" in outcome.log


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(("password", "stdin"), [("$MY_PASSWORD", ""), ("-", "from stdin\n")])
def test_the_password_flag_accepts_a_variable_or_standard_input(
    password: str, stdin: str, erp: System, query: str, database_url: str
) -> None:
    warehouse = postgresql(database_url)
    outcome = run(*_flags(erp, query, warehouse), "-dcp", password, env={"MY_PASSWORD": _SECRET}, stdin=stdin)
    assert outcome.code == 0, outcome.log
    assert warehouse.rows("SELECT count(*) FROM sync.items") == [(2,)]


def test_a_password_variable_that_is_not_set_is_named(erp: System, query: str, database_url: str) -> None:
    outcome = run(*_flags(erp, query, postgresql(database_url)), "-dcp", "$NOT_SET_ANYWHERE")
    assert (outcome.code, outcome.last["error"]["code"]) == (1, "secret_missing")
    assert "NOT_SET_ANYWHERE" in outcome.last["error"]["message"]

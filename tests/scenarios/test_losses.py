"""Verification finds rows that a run could silently lose, duplicate or round, given the tables after such a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connections.sdk.errors import InvalidValue
from connections.sdk.parameters import ConnectionParameters
from runs.engine.plan import NamedWatermark, Strategy
from tests.harness.bench import Bench
from tests.harness.verification import counts, run_verification

pytestmark = [pytest.mark.matrix, pytest.mark.usefixtures("transfer_in_process")]


def test_a_row_below_a_bound_that_the_source_sorts_differently_is_missing(bench: Bench) -> None:
    bench.at_source(
        "CREATE TABLE s (id integer PRIMARY KEY, ts text)",
        "INSERT INTO s VALUES (1, '2024-01-01T23:00:00-05:00'), (2, '2024-01-01T23:30:00-05:00')",
    )
    bench.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (id bigint PRIMARY KEY, ts timestamptz)",
        "INSERT INTO sync.t VALUES (1, '2024-01-02 04:00:00+00')",
    )
    result = run_verification(bench, "SELECT id AS id, ts AS ts FROM s", watermark="ts")
    assert counts(result) == (1, 0, 0)
    assert [key.key for key in result.comparison.missing] == [("2",)]


def test_a_key_that_keep_latest_removed_is_missing(bench: Bench) -> None:
    bench.at_source(
        "CREATE TABLE s (k integer, ts text, v text)",
        "INSERT INTO s VALUES (1, '2024-01-01', 'old'), (1, '2024-01-02', 'new'), (2, '2024-01-01', 'two')",
    )
    bench.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (k integer, ts text, v text)",
        "INSERT INTO sync.t VALUES (1, '2024-01-02', 'new')",
    )
    query = "SELECT k AS k, ts AS ts, v AS v FROM s"
    result = run_verification(bench, query, merge_key=("k",), watermark="ts", keep_latest=True)
    assert counts(result) == (1, 0, 0)
    assert [key.key for key in result.comparison.missing] == [("2",)]


@pytest.mark.parametrize("source", ["postgresql", "sqlite"])
@pytest.mark.parametrize(
    ("native", "old", "new"),
    [
        ("timestamp", "'2024-01-02 00:00:00'", "'2024-01-10 00:00:00'"),
        pytest.param("integer", "9", "10"),
        pytest.param("numeric", "9.5", "10"),
    ],
)
def test_with_keep_latest_an_older_row_is_different(
    between: Callable[[str, str], Bench], source: str, native: str, old: str, new: str
) -> None:
    pair = between(source, "postgresql")
    pair.at_source(
        f"CREATE TABLE s (k integer, w {native}, v varchar(9))",
        f"INSERT INTO s VALUES (1, {new}, 'new'), (1, {old}, 'old'), (1, NULL, 'none'), (2, {old}, 'old')",
    )
    pair.at_destination(
        "CREATE SCHEMA sync",
        f"CREATE TABLE sync.t (k integer, w {native}, v varchar(9))",
        f"INSERT INTO sync.t VALUES (1, {old}, 'old'), (2, {old}, 'old')",
    )
    query = "SELECT k AS k, w AS w, v AS v FROM s"
    latest: dict[str, Any] = {"merge_key": ("k",), "watermark": "w", "keep_latest": True}
    assert counts(run_verification(pair, query, **latest)) == (0, 0, 1)
    pair.at_destination(f"UPDATE sync.t SET w = {new}, v = 'new' WHERE k = 1")
    assert counts(run_verification(pair, query, columns=("v",), **latest)) == (0, 0, 0)


@pytest.mark.parametrize("destination", ["postgresql", "duckdb"])
@pytest.mark.parametrize(
    ("native", "new", "old"),
    [
        ("timestamp", "0044-03-15 00:00:00.25 BC", "0050-03-15 00:00:00 BC"),
        *(
            pytest.param(*values)
            for values in [
                ("timestamptz", "0044-03-15 00:00:00+00 BC", "0050-03-15 00:00:00+00 BC"),
                ("date", "0044-03-15 BC", "0050-03-15 BC"),
            ]
        ),
    ],
)
def test_with_keep_latest_a_row_of_an_earlier_year_bc_is_different(
    between: Callable[[str, str], Bench], destination: str, native: str, new: str, old: str
) -> None:
    pair = between("postgresql", destination)
    pair.at_source(
        f"CREATE TABLE s (k integer, w {native}, v text)",
        f"INSERT INTO s VALUES (1, '{new}', 'new'), (1, '{old}', 'old')",
    )
    query = "SELECT k AS k, w AS w, v AS v FROM s"
    latest: dict[str, Any] = {"merge_key": ("k",), "watermark": "w", "keep_latest": True}
    pair.run(pair.plan(query, strategy=Strategy.UPSERT, **latest))
    assert pair.rows("SELECT v FROM sync.t") == [("new",)]
    assert counts(run_verification(pair, query, **latest)) == (0, 0, 0)
    dest_value = old if destination == "postgresql" else f"{old[:10]} (BC){old[10:].removesuffix(' BC')}"
    pair.at_destination(f"UPDATE sync.t SET v = 'old', w = CAST('{dest_value}' AS {native})")
    assert counts(run_verification(pair, query, **latest)) == (0, 0, 1)


def test_keys_that_differ_only_in_case_are_one_key_if_the_destination_ignores_case(
    bench: Bench, tmp_path: Path
) -> None:
    url = f"jdbc:sqlite:{tmp_path / 'destination.db'}"
    bench.destination = ConnectionParameters(kind="sqlite", url=url, options={"create": True}, name="destination")
    bench.at_source("CREATE TABLE s (code text, v text)", "INSERT INTO s VALUES ('ABC', 'new'), ('d', 'x')")
    bench.at_destination(
        'CREATE TABLE "sync.t" (code text COLLATE NOCASE PRIMARY KEY, v text)',
        """INSERT INTO "sync.t" VALUES ('abc', 'new'), ('D', 'y')""",
    )
    result = run_verification(bench, "SELECT code AS code, v AS v FROM s", merge_key=("code",))
    assert counts(result) == (0, 0, 1)
    (value,) = result.comparison.different
    assert (value.column, value.source, value.destination) == ("v", "x", "y")


def test_rows_inserted_again_for_a_null_key_are_extra(bench: Bench, tmp_path: Path) -> None:
    url = f"jdbc:sqlite:{tmp_path / 'destination.db'}"
    bench.destination = ConnectionParameters(kind="sqlite", url=url, options={"create": True}, name="destination")
    bench.at_source("CREATE TABLE s (id integer, v text)", "INSERT INTO s VALUES (1, 'a'), (NULL, 'no key yet')")
    bench.at_destination(
        'CREATE TABLE "sync.t" (id integer PRIMARY KEY, v text)',
        """INSERT INTO "sync.t" VALUES (1, 'a'), (2, 'no key yet'), (3, 'no key yet')""",
    )
    assert counts(run_verification(bench, "SELECT id AS id, v AS v FROM s")) == (1, 2, 0)


def test_rows_duplicated_by_a_delete_without_effect_are_extra(pg_bench: Bench) -> None:
    pg_bench.at_source("CREATE TABLE s (id integer, v text)", "INSERT INTO s VALUES (1, 'a'), (2, 'b')")
    pg_bench.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (id integer, v text)",
        "INSERT INTO sync.t VALUES (1, 'a'), (2, 'b'), (1, 'a'), (2, 'b')",
    )
    assert counts(run_verification(pg_bench, "SELECT id AS id, v AS v FROM s")) == (0, 2, 0)


def test_a_row_that_a_trigger_discarded_from_an_append_is_missing(pg_bench: Bench) -> None:
    pg_bench.at_source("CREATE TABLE s (id integer, v text)", "INSERT INTO s VALUES (1, 'a'), (2, 'b'), (2, 'b')")
    pg_bench.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (id integer, v text)",
        "INSERT INTO sync.t VALUES (1, 'a'), (2, 'b')",
    )
    result = run_verification(pg_bench, "SELECT id AS id, v AS v FROM s", strategy=Strategy.APPEND, merge_key=())
    assert counts(result) == (1, 0, 0)


def test_rows_below_a_named_watermark_are_not_extra(pg_bench: Bench) -> None:
    pg_bench.at_source(
        "CREATE TABLE s (id integer, v text)", "INSERT INTO s SELECT i, 'v' FROM generate_series(1, 9) i"
    )
    pg_bench.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (id integer, v text)",
        "INSERT INTO sync.t SELECT i, 'v' FROM generate_series(1, 8) i WHERE i <> 7",
        "INSERT INTO sync.t VALUES (8, 'v')",
    )
    since = NamedWatermark(name="since", connection=pg_bench.source, resolver_sql="SELECT 6")
    query = "SELECT id AS id, v AS v FROM s WHERE id > {since}"
    result = run_verification(pg_bench, query, named_watermarks=(since,))
    assert counts(result) == (2, 1, 0)
    assert any("only rows that it returns" in warning for warning in result.warnings)


def test_a_column_that_the_query_does_not_fill_causes_a_warning(pg_bench: Bench) -> None:
    pg_bench.at_source("CREATE TABLE s (id integer, v text)", "INSERT INTO s VALUES (1, 'a')")
    pg_bench.at_destination(
        "CREATE SCHEMA sync", "CREATE TABLE sync.t (id integer, v text, w text)", "INSERT INTO sync.t VALUES (1, 'a')"
    )
    result = run_verification(pg_bench, "SELECT * FROM s")
    assert counts(result) == (0, 0, 0)
    assert any("not compared: w" in warning for warning in result.warnings)


def test_a_source_value_that_the_destination_cannot_hold_is_named(pg_bench: Bench) -> None:
    pg_bench.at_source("CREATE TABLE s (id integer, n numeric(10,4))", "INSERT INTO s VALUES (1, 1.2345)")
    pg_bench.at_destination(
        "CREATE SCHEMA sync", "CREATE TABLE sync.t (id integer, n numeric(10,1))", "INSERT INTO sync.t VALUES (1, 1.2)"
    )
    with pytest.raises(InvalidValue, match="1.2345"):
        run_verification(pg_bench, "SELECT id AS id, n AS n FROM s")

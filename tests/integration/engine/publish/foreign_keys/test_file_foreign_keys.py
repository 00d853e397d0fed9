"""Foreign keys of SQLite, which are not enforced, and of DuckDB, which are checked after each statement."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from connections.connectors.sqlite.dialect import DIALECT
from connections.sdk.errors import InvalidValue
from connections.sdk.schema import TableName
from connections.sdk.sql.foreign_keys import ForeignKey, count_orphans
from runs.engine.plan import Limits, Plan, Repair, Strategy
from tests.harness.bench import Bench
from tests.harness.matrix import first_by_default

pytestmark = pytest.mark.usefixtures("transfer_in_process")

ACTIONS = ["CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION"]
REFERENCES = {
    "the key, by its name": '"main t" (id)',
    "the key, unnamed and in another case": '"MAIN T"',
    "a unique column": '"main t" (nr)',
}


def _sqlite(bench_to: Callable[[str], Bench], reference: str, action: str) -> Bench:
    bench = bench_to("sqlite")
    bench.at_source("CREATE TABLE s (id int, nr int)", "INSERT INTO s VALUES (1, 10)")
    bench.at_destination(
        'CREATE TABLE "main t" (id INTEGER PRIMARY KEY, nr INTEGER UNIQUE)',
        'INSERT INTO "main t" VALUES (1, 10), (2, 20)',
        'CREATE TABLE "child ""of"" t" '
        f'(no INTEGER, "of t" INTEGER DEFAULT 1 REFERENCES {reference} ON DELETE {action})',
        f'INSERT INTO "child ""of"" t" VALUES (100, {"10" if "nr" in reference else "1"}), '
        f"(101, {'20' if 'nr' in reference else '2'}), (102, NULL)",
    )
    return bench


def _plan(bench: Bench, strategy: Strategy, **changes: object) -> Plan:
    return bench.plan(
        "SELECT id, nr FROM s",
        **{
            "dest_table": TableName("main", "main t"),
            "strategy": strategy,
            "merge_key": ("id",),
            "limits": Limits(max_delete_share=1, min_full_share=0),
            **changes,
        },
    )


METHODS = {
    "full": {"strategy": Strategy.FULL},
    "key_sync": {"strategy": Strategy.UPSERT, "key_sync": True},
    "repair": {"strategy": Strategy.UPSERT, "repair": Repair()},
}


@pytest.mark.parametrize("reference", first_by_default(REFERENCES))
@pytest.mark.parametrize("action", first_by_default(ACTIONS))
@pytest.mark.parametrize("method", list(METHODS))
def test_rows_of_sqlite_that_lose_their_referenced_row_are_kept_and_cause_a_warning(
    bench_to: Callable[[str], Bench], method: str, action: str, reference: str
) -> None:
    bench = _sqlite(bench_to, REFERENCES[reference], action)
    before = bench.rows('SELECT * FROM "child ""of"" t"')
    warnings = bench.run(_plan(bench, **METHODS[method])).warnings  # type: ignore[arg-type]
    assert bench.rows('SELECT * FROM "child ""of"" t"') == before
    assert bench.rows('SELECT * FROM "main t"') == [(1, 10)]
    assert [warning for warning in warnings if "that were deleted (" in warning] == [
        f'Rows of "child ""of"" t" (foreign key on of t, ON DELETE {action}) reference rows of main.main t that were '
        "deleted (1 of them): the connection does not enforce foreign keys, so nothing prevented the delete and "
        "nothing cascaded."
    ]


@pytest.mark.parametrize("strategy", first_by_default([Strategy.FULL, Strategy.INCREMENTAL, Strategy.UPSERT]))
def test_references_of_sqlite_that_were_broken_before_cause_no_warning(
    bench_to: Callable[[str], Bench], strategy: Strategy
) -> None:
    bench = _sqlite(bench_to, '"main t"', "CASCADE")
    bench.at_destination('DELETE FROM "main t" WHERE id = 2')
    assert bench.run(_plan(bench, strategy)).warnings == []


def test_composite_references_and_references_within_a_table_of_sqlite_cause_warnings(
    bench_to: Callable[[str], Bench],
) -> None:
    bench = bench_to("sqlite")
    bench.at_source("CREATE TABLE s (a int, b int)", "INSERT INTO s VALUES (1, 1)")
    bench.at_destination(
        "CREATE TABLE t (a INTEGER, b INTEGER, up_a INTEGER, up_b INTEGER, PRIMARY KEY (b, a), "
        "FOREIGN KEY (up_b, up_a) REFERENCES T ON DELETE CASCADE)",
        "CREATE TABLE child (x INTEGER, y INTEGER, FOREIGN KEY (x, y) REFERENCES t (a, b))",
        "CREATE TABLE odd (x INTEGER REFERENCES t, y INTEGER REFERENCES t (missing), z INTEGER REFERENCES gone)",
        "INSERT INTO t VALUES (1, 1, NULL, NULL), (2, 1, NULL, NULL), (3, 1, NULL, NULL)",
        "UPDATE t SET up_a = 2, up_b = 1 WHERE a = 1",
        "INSERT INTO child VALUES (1, 1), (2, 1), (3, 1), (3, NULL)",
        "INSERT INTO odd VALUES (1, 1, 1)",
    )
    plan = bench.plan(
        "SELECT a, b FROM s",
        dest_table=TableName("", "t"),
        merge_key=("a", "b"),
        strategy=Strategy.UPSERT,
        key_sync=True,
        limits=Limits(max_delete_share=1),
    )
    warnings = bench.run(plan).warnings
    assert [warning.partition(":")[0] for warning in warnings] == [
        "Rows of child (foreign key on x, y, ON DELETE NO ACTION) reference rows of t that were deleted (2 of them)",
        "Rows of t (foreign key on up_b, up_a, ON DELETE CASCADE) reference rows of t that were deleted (1 of them)",
    ]
    assert bench.rows("SELECT a, up_a FROM t") == [(1, 2)]


def _duckdb(bench_to: Callable[[str], Bench], *ddl: str) -> Bench:
    bench = bench_to("duckdb")
    bench.at_source("CREATE TABLE s (k int, nr int)", "INSERT INTO s VALUES (1, 10), (2, 20)")
    bench.at_destination("CREATE SCHEMA sync", *ddl)
    return bench


def _hint_of_failure(bench: Bench, strategy: Strategy, before: list[tuple[object, ...]]) -> str:
    plan = bench.plan("SELECT k, nr FROM s", strategy=strategy, merge_key=("k",))
    with pytest.raises(InvalidValue) as caught:
        bench.run(plan)
    assert bench.rows("SELECT * FROM sync.t ORDER BY 1") == before
    return caught.value.hint


STRATEGIES = first_by_default([Strategy.UPSERT, Strategy.FULL, Strategy.INCREMENTAL])


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", first_by_default(["sync.T (NR)", 'sync."t" (nr)']))
def test_duckdb_rows_referenced_by_a_unique_column_are_reported_with_a_hint(
    bench_to: Callable[[str], Bench], strategy: Strategy, name: str
) -> None:
    bench = _duckdb(
        bench_to,
        "CREATE TABLE sync.t (k int PRIMARY KEY, nr int UNIQUE)",
        "INSERT INTO sync.t VALUES (1, 10), (3, 30)",
        f"CREATE TABLE sync.child (n int, nr int REFERENCES {name})",
        "INSERT INTO sync.child VALUES (9, 10)",
    )
    hint = _hint_of_failure(bench, strategy, [(1, 10), (3, 30)])
    assert hint.startswith("Rows of sync.child (foreign key child_nr_")
    assert "drop the foreign key" in hint
    assert ("Use merge_strategy: upsert" in hint) is (strategy is not Strategy.UPSERT)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_duckdb_table_that_references_itself_is_reported_with_a_hint(
    bench_to: Callable[[str], Bench], strategy: Strategy
) -> None:
    bench = _duckdb(
        bench_to,
        "CREATE TABLE sync.t (k int PRIMARY KEY, nr int REFERENCES sync.t)",
        "INSERT INTO sync.t VALUES (1, NULL)",
    )
    bench.at_destination("INSERT INTO sync.t VALUES (2, 1)")
    bench.at_source("UPDATE s SET nr = CASE k WHEN 2 THEN 1 END")
    hint = _hint_of_failure(bench, strategy, [(1, None), (2, 1)])
    assert hint.startswith("Rows of sync.t (foreign key t_nr_k_fkey")
    assert "drop the foreign key" in hint
    assert "Use merge_strategy" not in hint


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_duckdb_rows_without_their_referenced_row_are_reported_with_a_hint(
    bench_to: Callable[[str], Bench], strategy: Strategy
) -> None:
    bench = _duckdb(
        bench_to,
        "CREATE TABLE sync.parent (nr int PRIMARY KEY)",
        "INSERT INTO sync.parent VALUES (10)",
        "CREATE TABLE sync.t (k int PRIMARY KEY, nr int REFERENCES sync.parent)",
        "INSERT INTO sync.t VALUES (1, 10)",
    )
    assert _hint_of_failure(bench, strategy, [(1, 10)]).startswith("Load the referenced table first.")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_key_of_duckdb_is_deleted_and_inserted_in_one_transaction(
    bench_to: Callable[[str], Bench], strategy: Strategy
) -> None:
    bench = _duckdb(
        bench_to,
        "CREATE TABLE sync.t (k int PRIMARY KEY, nr int UNIQUE)",
        "INSERT INTO sync.t VALUES (1, 20), (2, 10)",
        "CREATE TABLE sync.child (n int, k int REFERENCES sync.t)",
        "INSERT INTO sync.child VALUES (9, 1)",
        "DELETE FROM sync.child",
    )
    bench.run(bench.plan("SELECT k, nr FROM s", strategy=strategy, merge_key=("k",)))
    assert bench.rows("SELECT k, nr FROM sync.t ORDER BY 1") == [(1, 10), (2, 20)]


def test_broken_references_are_counted_without_a_scan_per_row(
    bench_to: Callable[[str], Bench],
) -> None:
    bench = bench_to("sqlite")
    bench.at_destination(
        "CREATE TABLE d (id INTEGER, nr INTEGER)",
        "CREATE TABLE c (of_id INTEGER, of_nr INTEGER)",
        "INSERT INTO d VALUES (1, 10), (1, 10), (2, 20)",
        "INSERT INTO c VALUES (1, 10), (1, 20), (3, 30), (NULL, 10)",
    )
    key = ForeignKey(
        constraint="",
        table=TableName("main", "c"),
        columns=("of_id", "of_nr"),
        referenced=TableName("main", "d"),
        references=("id", "nr"),
        enforced=False,
    )
    sql = count_orphans(DIALECT, key)
    assert bench.rows(sql) == [(2,)]
    steps = " ".join(str(row[3]) for row in bench.rows(f"EXPLAIN QUERY PLAN {sql}"))
    assert "AUTOMATIC" in steps and "CORRELATED" not in steps

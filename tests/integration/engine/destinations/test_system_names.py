"""Columns named like row ids, system columns, or the aliases that the generated SQL uses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from connections import registry
from connections.sdk.errors import ConfigurationInvalid, CountMismatch
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableName
from connections.sdk.sql.publishing import PublishingDialect
from runs.engine.plan import Strategy
from tests.harness.bench import Bench, Rows, fetch

pytestmark = pytest.mark.usefixtures("transfer_in_process")

TABLE = TableName("main", "t")
# two rows of one key, and rows of other keys that share the value of the column in question
DOUBLED = "INSERT INTO s VALUES (1, '2024-01-01', 7, 'old'), (1, '2024-01-02', 7, 'new'), (2, '2024-01-01', 7, 'two')"
NEWEST = [(1, 7, "new"), (2, 7, "two")]
SYSTEM_COLUMNS = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"]
OWN_NAMES = [
    "pipekit_id",
    "PIPEKIT_N",
    "pipekit_row",
    "pipekit_had",
    "s",
    "d",
    "h",
    "r",
    "t",
    "g",
    "k",
    "excluded",
    "n",
]


def _create_source(bench: Bench, column: str) -> None:
    bench.at_source(f'CREATE TABLE s (k int, ts text, "{column}" int, v text)', DOUBLED)


def _result(bench: Bench, column: str) -> Rows:
    return bench.rows(f'SELECT k, "{column}", v FROM t ORDER BY k')


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    ("kind", "column", "strategy"),
    [
        ("sqlite", "rowid", Strategy.UPSERT),
        ("duckdb", "rowid", Strategy.INCREMENTAL),
        *(
            pytest.param(kind, column, strategy, marks=pytest.mark.matrix)
            for kind in ("sqlite", "duckdb")
            for column in ("rowid", "_rowid_", "oid", "ROWID", "pipekit_id", "pipekit_n")
            for strategy in (Strategy.INCREMENTAL, Strategy.UPSERT)
        ),
    ],
)
def test_keep_latest_keeps_one_row_per_key_with_a_column_of_any_name(
    bench_to: Callable[[str], Bench], kind: str, column: str, strategy: Strategy
) -> None:
    bench = bench_to(kind)
    _create_source(bench, column)
    query = f'SELECT k AS k, ts AS ts, "{column}" AS "{column}", v AS v FROM s'
    plan = bench.plan(query, dest_table=TABLE, strategy=strategy, merge_key=("k",), watermark="ts", keep_latest=True)
    assert bench.run(plan).counts == (2, 0, 0)
    assert _result(bench, column) == NEWEST


def test_keep_latest_is_refused_before_the_transfer_when_columns_hide_all_row_ids(
    bench_to: Callable[[str], Bench],
) -> None:
    bench = bench_to("sqlite")
    bench.at_source("CREATE TABLE s (k int, ts text, rowid int, _rowid_ int, OID int)")
    plan = bench.plan(
        "SELECT * FROM s",
        dest_table=TABLE,
        strategy=Strategy.UPSERT,
        merge_key=("k",),
        watermark="ts",
        keep_latest=True,
    )
    with pytest.raises(ConfigurationInvalid, match="rowid, _rowid_, oid") as caught:
        bench.run(plan)
    assert "another alias" in caught.value.hint
    assert [event for event in bench.failed.events if type(event).__name__ == "RouteChosen"] == []


@pytest.mark.default_cases(3)
@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
@pytest.mark.parametrize("names", [["k", "ts", name] for name in OWN_NAMES if name != "k"] + [["s", "d", "t"]], ids=str)
def test_the_statements_of_a_publish_are_right_with_columns_of_any_name(
    warehouse_of: Callable[[str], ConnectionParameters], kind: str, names: list[str]
) -> None:
    parameters, columns = warehouse_of(kind), tuple(names)
    dialect = registry.dialect(kind)
    assert isinstance(dialect, PublishingDialect)
    target, staging = TableName("", "target"), TableName("", "staging")
    key, mark = columns[:1], columns[1]
    session = registry.connector(kind).connect(parameters)
    try:
        for table in (target, staging):
            session.execute(dialect.create_table(table, [(name, "integer") for name in columns]))
        session.execute(f"INSERT INTO {dialect.qualified(target)} VALUES (1, 10, 7), (2, 10, 7)")
        session.execute(f"INSERT INTO {dialect.qualified(staging)} VALUES (2, 10, 7), (2, 20, 8), (3, 10, 7)")
        session.execute(dialect.insert_missing_copies(target, staging, columns, mark))
        expected = [(1, 10, 7), (2, 10, 7), (2, 20, 8), (3, 10, 7)]
        assert fetch_sorted(session, dialect, target) == expected
        assert session.fetch(dialect.duplicate_keys(staging, key)) == [(2, 2)]
        assert session.fetch(dialect.count_keys(staging, key)) == [(2,)]
        session.execute(dialect.keep_latest(staging, columns, key, mark))
        assert fetch_sorted(session, dialect, staging) == [(2, 20, 8), (3, 10, 7)]
        session.execute(dialect.delete_matching(target, staging, key, null_safe=False))
        session.execute(dialect.insert_missing(target, staging, columns, key, null_safe=False))
        session.execute(f"UPDATE {dialect.qualified(staging)} SET {dialect.quote(columns[2])} = 9")
        session.execute(dialect.update_matching(target, staging, columns, key, null_safe=False))
        assert fetch_sorted(session, dialect, target) == [(1, 10, 7), (2, 20, 9), (3, 10, 9)]
    finally:
        session.close()


def fetch_sorted(session: object, dialect: PublishingDialect, table: TableName) -> Rows:
    return sorted(session.fetch(f"SELECT * FROM {dialect.qualified(table)}"))  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", SYSTEM_COLUMNS)
def test_a_system_column_of_postgresql_is_refused_by_name(name: str) -> None:
    dialect = registry.dialect("postgresql")
    with pytest.raises(ConfigurationInvalid, match=f"“{name}”") as caught:
        dialect.check_columns(["k", name])
    assert f"AS {name}_" in caught.value.hint
    dialect.check_columns([name.upper(), "oid", "rowid"])


def test_a_system_column_is_refused_before_the_transfer(bench: Bench) -> None:
    bench.at_source("CREATE TABLE s (k int, CTID int)")
    with pytest.raises(ConfigurationInvalid, match="“ctid” in postgresql"):
        bench.run(bench.plan("SELECT * FROM s"))
    assert bench.rows("SELECT to_regclass('sync.t'), to_regclass('pipekit_staging.m')") == [(None, None)]


def test_an_empty_column_name_is_refused_with_a_hint_to_use_an_alias(bench: Bench) -> None:
    bench.at_source('CREATE TABLE s ("" int)')
    with pytest.raises(ConfigurationInvalid, match="empty name") as caught:
        bench.run(bench.plan("SELECT * FROM s"))
    assert "alias" in caught.value.hint
    assert "NUL" not in caught.value.hint


def test_a_keep_latest_that_removes_all_rows_of_a_key_publishes_nothing(
    bench_to: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = bench_to("sqlite")
    _create_source(bench, "x")
    plan = bench.plan(
        "SELECT * FROM s",
        dest_table=TABLE,
        strategy=Strategy.UPSERT,
        merge_key=("k",),
        watermark="ts",
        keep_latest=True,
    )
    # this row id has the same value in rows of other keys
    monkeypatch.setattr(type(registry.dialect("sqlite")), "row_id", lambda dialect, columns: "x")
    with pytest.raises(CountMismatch, match="2 keys; keep_latest left 0 rows"):
        bench.run(plan)
    assert fetch(bench.destination, "SELECT name FROM sqlite_master WHERE name = 't'") == []

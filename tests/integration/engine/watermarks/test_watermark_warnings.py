"""Warnings about watermarks that will leave later rows out, with their remedies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from connections.connectors.postgresql.driver import PostgresqlSession
from connections.sdk.errors import Overtaken
from connections.sdk.schema import TableName
from runs.engine import sync
from runs.engine.plan import Plan, Strategy
from tests.harness import transfer_in_process
from tests.harness.bench import Bench

pytestmark = pytest.mark.usefixtures("transfer_in_process")

Between = Callable[[str, str], Bench]
KINDS = ["postgresql", "sqlite", "duckdb"]


def by_w(bench: Bench, **changes: object) -> Plan:
    return bench.plan(
        "SELECT k, w FROM s", **{"strategy": Strategy.INCREMENTAL, "merge_key": ("k",), "watermark": "w", **changes}
    )


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("dest", KINDS)
def test_a_highest_number_shared_by_several_rows_causes_a_warning_and_an_overlap_brings_their_ties(
    between: Between, dest: str
) -> None:
    bench = between("sqlite", dest)
    bench.at_source(
        "CREATE TABLE s (k integer, w decimal(8,0))", "INSERT INTO s VALUES (1, 20260131), (2, 20260131), (3, 20260130)"
    )
    (warning,) = bench.run(by_w(bench)).warnings
    assert warning.startswith("2 rows share the highest w.") and "overlap to 1" in warning
    bench.at_source("INSERT INTO s VALUES (4, 20260131)")
    result = bench.run(by_w(bench, overlap="1"))
    assert result.source_sql == "SELECT k, w FROM s WHERE w >= 20260130"
    assert result.warnings == []
    table = '"sync.t"' if dest == "sqlite" else "sync.t"
    assert bench.rows(f"SELECT k FROM {table} ORDER BY 1") == [(1,), (2,), (3,), (4,)]


@pytest.mark.parametrize(
    ("declared", "values"),
    [("integer", "(1, 7), (2, 8)"), ("date", "(1, '2026-01-31'), (2, '2026-01-31')"), ("text", "(1, 'a'), (2, 'a')")],
)
def test_unique_numbers_and_types_compared_with_at_least_cause_no_warning(
    between: Between, declared: str, values: str
) -> None:
    bench = between("sqlite", "sqlite")
    bench.at_source(f"CREATE TABLE s (k integer, w {declared})", f"INSERT INTO s VALUES {values}")
    assert bench.run(by_w(bench)).warnings == []


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    ("dest", "declared", "value"),
    [
        ("postgresql", "date", "9999-12-31"),
        ("duckdb", "timestamp", "9999-12-31 23:59:59"),
        ("postgresql", "timestamptz", "9999-12-31 23:59:59+00"),
        ("duckdb", "timestamptz", "9999-12-31 23:59:59+00"),
        ("sqlite", "timestamptz", "9999-12-31 23:59:59+00"),
        ("sqlite", "text", "2226-01-01T00:00:00Z"),
        ("sqlite", "integer", "99991231"),
    ],
)
def test_a_highest_value_in_the_future_causes_a_warning(between: Between, dest: str, declared: str, value: str) -> None:
    bench = between("sqlite", dest)
    bench.at_source(f"CREATE TABLE s (k integer, w {declared})", f"INSERT INTO s VALUES (1, '{value}')")
    (warning,) = bench.run(by_w(bench)).warnings
    assert "lies in the future" in warning and "at the source and in the destination" in warning
    (dry_run_warning,) = bench.run(by_w(bench, dry_run=True)).warnings
    assert dry_run_warning == warning


@pytest.mark.parametrize("value", ["99999999", "99999999999999", "99991301", "9999123"])
def test_a_number_that_is_no_date_is_not_taken_for_one_in_the_future(between: Between, value: str) -> None:
    bench = between("sqlite", "sqlite")
    bench.at_source(
        "CREATE TABLE s (k integer, w integer)", f"INSERT INTO s VALUES (1, {int(value) - 1}), (2, {value})"
    )
    assert bench.run(by_w(bench)).warnings == []


@pytest.mark.default_cases(3)
@pytest.mark.parametrize("value", ["99999999", "99999999999999"])
@pytest.mark.parametrize("dest", KINDS)
def test_nines_among_dates_are_taken_for_a_date_in_the_future(between: Between, dest: str, value: str) -> None:
    bench = between("sqlite", dest)
    date = "20260131" + "235959" * (len(value) == 14)
    bench.at_source("CREATE TABLE s (k integer, w bigint)", f"INSERT INTO s VALUES (1, {date}), (2, {value})")
    (warning,) = bench.run(by_w(bench)).warnings
    assert "lies in the future" in warning


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(("offset", "count"), [("+12 hours", 0), ("+2 days", 1), ("-1 day", 0)])
def test_a_highest_value_up_to_a_day_ahead_causes_no_warning(between: Between, offset: str, count: int) -> None:
    bench = between("sqlite", "postgresql")
    bench.at_source("CREATE TABLE s (k integer, w timestamp)", f"INSERT INTO s VALUES (1, datetime('now', '{offset}'))")
    assert len(bench.run(by_w(bench)).warnings) == count


def test_a_number_stored_as_text_causes_a_warning_before_it_gets_another_digit(between: Between) -> None:
    bench = between("sqlite", "postgresql")
    bench.at_source("CREATE TABLE s (k integer, w text)", "INSERT INTO s VALUES (1, '98'), (2, '99')")
    (warning,) = bench.run(by_w(bench)).warnings
    assert "as text 100 sorts before it" in warning and "CAST(.. AS bigint) AS w" in warning
    bench.at_source("DELETE FROM s WHERE k = 2")
    bench.at_destination("DELETE FROM sync.t WHERE k = 2")
    assert bench.run(by_w(bench)).warnings == []


@pytest.mark.default_cases(2)
@pytest.mark.parametrize(
    ("dest", "texts", "count"),
    [
        ("postgresql", ["2026-01-31 10:00:00", "2026-01-31 02:00:00-12:00"], 1),
        ("sqlite", ["2026-01-31 10:00:00", "2026-01-31 02:00:00-12:00"], 1),
        ("duckdb", ["2026-01-31 10:00:00", "2026-01-31 02:00:00-12:00"], 1),
        ("sqlite", ["2026-01-31T10:00:00Z", "2026-01-31T09:00:00Z"], 0),
        ("sqlite", ["2026-01-31 10:00:00", "2026-01-31 09:00"], 0),
        ("sqlite", ["2026-01-31 10:00:00+02:00", "2026-01-31 02:00:00-12:00"], 0),
    ],
)
def test_texts_of_which_only_some_have_an_offset_cause_a_warning(
    between: Between, dest: str, texts: list[str], count: int
) -> None:
    bench = between("sqlite", dest)
    bench.at_source("CREATE TABLE s (k integer, w text)", f"INSERT INTO s VALUES (1, '{texts[0]}'), (2, '{texts[1]}')")
    warnings = bench.run(by_w(bench)).warnings
    assert [warning.startswith("Some w have an offset from UTC") for warning in warnings] == [True] * count


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("strategy", [Strategy.INCREMENTAL, Strategy.APPEND])
def test_the_warnings_read_staging_outside_the_publish_transaction(
    between: Between, strategy: Strategy, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = between("sqlite", "postgresql")
    bench.at_source("CREATE TABLE s (k integer, w integer)", "INSERT INTO s VALUES (1, 7), (2, 8), (3, 8), (4, NULL)")
    transactions, inside_transaction = list[str](), list[str]()
    transaction, fetch = PostgresqlSession.transaction, PostgresqlSession.fetch

    @contextmanager
    def tracked_transaction(session: PostgresqlSession) -> Iterator[None]:
        with transaction(session):
            transactions.append("")
            yield
            transactions.pop()

    def tracked_fetch(session: PostgresqlSession, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        if transactions and "pipekit_staging" in sql and '"w"' in sql and '"sync"' not in sql:
            inside_transaction.append(sql)
        return fetch(session, sql, parameters)

    monkeypatch.setattr(PostgresqlSession, "transaction", tracked_transaction)
    monkeypatch.setattr(PostgresqlSession, "fetch", tracked_fetch)
    key = ("k",) if strategy is Strategy.INCREMENTAL else ()
    warnings = bench.run(by_w(bench, strategy=strategy, merge_key=key)).warnings
    assert any(warning.startswith("Rows without a value of w: 1.") for warning in warnings)
    assert any(warning.startswith("2 rows share the highest w.") for warning in warnings)
    # so the locks of the publish transaction are not held longer
    assert inside_transaction == []


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("dest", KINDS)
def test_keep_latest_removes_the_older_rows_of_a_key_before_the_warnings_are_determined(
    between: Between, dest: str
) -> None:
    bench = between("sqlite", dest)
    bench.at_source(
        "CREATE TABLE s (k integer, w integer)", "INSERT INTO s VALUES (1, 8), (1, 8), (2, 7), (3, 6), (3, NULL)"
    )
    assert bench.run(by_w(bench, keep_latest=True)).warnings == []


def test_a_run_overtaken_by_one_with_other_columns_fails_with_overtaken(
    between: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = between("sqlite", "postgresql")
    bench.at_source("CREATE TABLE s (k integer, w integer)", "INSERT INTO s VALUES (1, 7)")

    def overtake(name: str) -> None:
        if name == "transfer.finished":
            monkeypatch.undo()
            with monkeypatch.context() as inside:
                transfer_in_process.use(inside)
                bench.run(bench.plan("SELECT k FROM s", dest_table=TableName("sync", "other")))

    monkeypatch.setattr(sync, "point", overtake)
    with pytest.raises(Overtaken):
        bench.run(by_w(bench))

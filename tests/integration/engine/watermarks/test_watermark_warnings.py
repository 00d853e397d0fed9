"""Watermarks that will leave later rows out are said by the run that finds them, with what to do about it."""

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
from tests.benches import transfer_in_process
from tests.benches.bench import Bench

pytestmark = pytest.mark.usefixtures("transfer_in_process")

Between = Callable[[str, str], Bench]
KINDS = ["postgresql", "sqlite", "duckdb"]


def by_w(bench: Bench, **changes: object) -> Plan:
    return bench.plan(
        "SELECT k, w FROM s", **{"strategy": Strategy.INCREMENTAL, "merge_key": ("k",), "watermark": "w", **changes}
    )


@pytest.mark.parametrize("dest", KINDS)
def test_a_number_that_several_rows_share_is_said_and_the_cure_brings_their_ties(between: Between, dest: str) -> None:
    bench = between("sqlite", dest)
    bench.at_source(
        "CREATE TABLE s (k integer, w decimal(8,0))", "INSERT INTO s VALUES (1, 20260131), (2, 20260131), (3, 20260130)"
    )
    (warning,) = bench.run(by_w(bench)).warnings
    assert warning.startswith("2 rows share the highest w.") and "overlap to 1" in warning
    bench.at_source("INSERT INTO s VALUES (4, 20260131)")
    cured = bench.run(by_w(bench, overlap="1"))
    assert cured.source_sql == "SELECT k, w FROM s WHERE w >= 20260130"
    assert cured.warnings == []
    table = '"sync.t"' if dest == "sqlite" else "sync.t"
    assert bench.rows(f"SELECT k FROM {table} ORDER BY 1") == [(1,), (2,), (3,), (4,)]


@pytest.mark.parametrize(
    ("declared", "values"),
    [("integer", "(1, 7), (2, 8)"), ("date", "(1, '2026-01-31'), (2, '2026-01-31')"), ("text", "(1, 'a'), (2, 'a')")],
)
def test_unique_numbers_and_what_is_compared_with_at_least_are_not_said(
    between: Between, declared: str, values: str
) -> None:
    bench = between("sqlite", "sqlite")
    bench.at_source(f"CREATE TABLE s (k integer, w {declared})", f"INSERT INTO s VALUES {values}")
    assert bench.run(by_w(bench)).warnings == []


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
def test_a_highest_value_in_the_future_is_said(between: Between, dest: str, declared: str, value: str) -> None:
    bench = between("sqlite", dest)
    bench.at_source(f"CREATE TABLE s (k integer, w {declared})", f"INSERT INTO s VALUES (1, '{value}')")
    (warning,) = bench.run(by_w(bench)).warnings
    assert "lies in the future" in warning and "at the source and in the destination" in warning
    (again,) = bench.run(by_w(bench, dry_run=True)).warnings
    assert again == warning


@pytest.mark.parametrize("value", ["99999999", "99999999999999", "99991301", "9999123"])
def test_a_number_that_is_no_date_lies_not_in_the_future(between: Between, value: str) -> None:
    bench = between("sqlite", "sqlite")
    bench.at_source(
        "CREATE TABLE s (k integer, w integer)", f"INSERT INTO s VALUES (1, {int(value) - 1}), (2, {value})"
    )
    assert bench.run(by_w(bench)).warnings == []


@pytest.mark.parametrize("value", ["99999999", "99999999999999"])
@pytest.mark.parametrize("dest", KINDS)
def test_nines_among_dates_are_the_end_of_the_calendar(between: Between, dest: str, value: str) -> None:
    bench = between("sqlite", dest)
    date = "20260131" + "235959" * (len(value) == 14)
    bench.at_source("CREATE TABLE s (k integer, w bigint)", f"INSERT INTO s VALUES (1, {date}), (2, {value})")
    (warning,) = bench.run(by_w(bench)).warnings
    assert "lies in the future" in warning


@pytest.mark.parametrize(("ago", "said"), [("+12 hours", 0), ("+2 days", 1), ("-1 day", 0)])
def test_clocks_may_differ_by_a_day(between: Between, ago: str, said: int) -> None:
    bench = between("sqlite", "postgresql")
    bench.at_source("CREATE TABLE s (k integer, w timestamp)", f"INSERT INTO s VALUES (1, datetime('now', '{ago}'))")
    assert len(bench.run(by_w(bench)).warnings) == said


def test_a_number_kept_as_text_is_said_before_it_gets_longer(between: Between) -> None:
    bench = between("sqlite", "postgresql")
    bench.at_source("CREATE TABLE s (k integer, w text)", "INSERT INTO s VALUES (1, '98'), (2, '99')")
    (warning,) = bench.run(by_w(bench)).warnings
    assert "as text 100 sorts before it" in warning and "CAST(.. AS bigint) AS w" in warning
    bench.at_source("DELETE FROM s WHERE k = 2")
    bench.at_destination("DELETE FROM sync.t WHERE k = 2")
    assert bench.run(by_w(bench)).warnings == []


@pytest.mark.parametrize(
    ("dest", "texts", "said"),
    [
        ("postgresql", ["2026-01-31 10:00:00", "2026-01-31 02:00:00-12:00"], 1),
        ("sqlite", ["2026-01-31 10:00:00", "2026-01-31 02:00:00-12:00"], 1),
        ("duckdb", ["2026-01-31 10:00:00", "2026-01-31 02:00:00-12:00"], 1),
        ("sqlite", ["2026-01-31T10:00:00Z", "2026-01-31T09:00:00Z"], 0),
        ("sqlite", ["2026-01-31 10:00:00", "2026-01-31 09:00"], 0),
        ("sqlite", ["2026-01-31 10:00:00+02:00", "2026-01-31 02:00:00-12:00"], 0),
    ],
)
def test_texts_of_which_some_have_an_offset_are_said(between: Between, dest: str, texts: list[str], said: int) -> None:
    bench = between("sqlite", dest)
    bench.at_source("CREATE TABLE s (k integer, w text)", f"INSERT INTO s VALUES (1, '{texts[0]}'), (2, '{texts[1]}')")
    warnings = bench.run(by_w(bench)).warnings
    assert [warning.startswith("Some w have an offset from UTC") for warning in warnings] == [True] * said


@pytest.mark.parametrize("strategy", [Strategy.INCREMENTAL, Strategy.APPEND])
def test_staging_is_read_once_for_all_that_is_said_of_its_watermarks(
    between: Between, strategy: Strategy, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = between("sqlite", "postgresql")
    bench.at_source("CREATE TABLE s (k integer, w integer)", "INSERT INTO s VALUES (1, 7), (2, 8), (3, 8), (4, NULL)")
    open_, inside = list[str](), list[str]()
    transaction, fetch = PostgresqlSession.transaction, PostgresqlSession.fetch

    @contextmanager
    def noted(session: PostgresqlSession) -> Iterator[None]:
        with transaction(session):
            open_.append("")
            yield
            open_.pop()

    def fetched(session: PostgresqlSession, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        if open_ and "pipekit_staging" in sql and '"w"' in sql and '"sync"' not in sql:
            inside.append(sql)
        return fetch(session, sql, parameters)

    monkeypatch.setattr(PostgresqlSession, "transaction", noted)
    monkeypatch.setattr(PostgresqlSession, "fetch", fetched)
    key = ("k",) if strategy is Strategy.INCREMENTAL else ()
    warnings = bench.run(by_w(bench, strategy=strategy, merge_key=key)).warnings
    assert any(warning.startswith("Rows without a value of w: 1.") for warning in warnings)
    assert any(warning.startswith("2 rows share the highest w.") for warning in warnings)
    # before the transaction that publishes: nobody waits for a warning
    assert inside == []


@pytest.mark.parametrize("dest", KINDS)
def test_keep_latest_is_asked_after_the_older_rows_of_a_key_are_gone(between: Between, dest: str) -> None:
    bench = between("sqlite", dest)
    bench.at_source(
        "CREATE TABLE s (k integer, w integer)", "INSERT INTO s VALUES (1, 8), (1, 8), (2, 7), (3, 6), (3, NULL)"
    )
    assert bench.run(by_w(bench, keep_latest=True)).warnings == []


def test_a_run_that_another_one_of_another_shape_overtook_says_so(
    between: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = between("sqlite", "postgresql")
    bench.at_source("CREATE TABLE s (k integer, w integer)", "INSERT INTO s VALUES (1, 7)")

    def overtake(name: str) -> None:
        if name == "transfer.finished":
            monkeypatch.undo()
            with monkeypatch.context() as inside:
                inside.setattr(sync, "transfer", transfer_in_process.transfer)
                bench.run(bench.plan("SELECT k FROM s", dest_table=TableName("sync", "other")))

    monkeypatch.setattr(sync, "point", overtake)
    with pytest.raises(Overtaken):
        bench.run(by_w(bench))

"""Tests of publishing: the effect of the dialect's statements on a destination table of the real system."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from connections.sdk.errors import PipekitError
from connections.sdk.schema import TableName
from connections.sdk.sql.publishing import PublishingDialect
from connections.sdk.testing.fixtures import Fixtures
from connections.sdk.testing.workbench import Workbench
from connections.sdk.types import Kind

COLUMNS, KEY = ("id 1", "id_2", "v"), ("id 1", "id_2")
Row = tuple[str | None, ...]
# the rows of the destination, of staging, and of a table of keys
DESTINATION: list[Row] = [("1", "a", "old"), ("2", "b'\\", "old"), ("3", None, "old")]
STAGED: list[Row] = [("2", "b'\\", "new"), ("3", None, "new"), ("4", "d", "new")]
KEY_ROWS: list[Row] = [("1", "a"), ("4", "d")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The tables of one publish."""

    destination: TableName
    staging: TableName
    keys: TableName


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishCase:
    """Statements and the rows of the destination after them, sorted, NULL as "NULL"."""

    statements: Callable[[PublishingDialect, Tables], Sequence[str]]
    expected: list[list[str]]


def _statement(name: str, **more: bool) -> Callable[[PublishingDialect, Tables], Sequence[str]]:
    return lambda d, t: [getattr(d, name)(t.destination, t.staging, COLUMNS, KEY, **more)]


def _missing_copies(d: PublishingDialect, t: Tables) -> Sequence[str]:
    # rows that are read again are not duplicated
    return [d.insert_missing_copies(t.destination, t.staging, COLUMNS, "v")] * 2


# without the upsert by a unique key, for which a system needs one
STATEMENTS = {
    "update_matching": PublishCase(
        statements=_statement("update_matching", null_safe=True),
        expected=[["1", "a", "old"], ["2", "b'\\", "new"], ["3", "NULL", "new"]],
    ),
    "update_matching without NULLs": PublishCase(
        statements=_statement("update_matching", null_safe=False),
        expected=[["1", "a", "old"], ["2", "b'\\", "new"], ["3", "NULL", "old"]],
    ),
    "insert_missing": PublishCase(
        statements=_statement("insert_missing", null_safe=True),
        expected=[["1", "a", "old"], ["2", "b'\\", "old"], ["3", "NULL", "old"], ["4", "d", "new"]],
    ),
    "delete_matching": PublishCase(
        statements=lambda d, t: [d.delete_matching(t.destination, t.staging, KEY, null_safe=True)],
        expected=[["1", "a", "old"]],
    ),
    "delete_matching without NULLs": PublishCase(
        statements=lambda d, t: [d.delete_matching(t.destination, t.staging, KEY, null_safe=False)],
        expected=[["1", "a", "old"], ["3", "NULL", "old"]],
    ),
    "delete_missing": PublishCase(
        statements=lambda d, t: [d.delete_missing(t.destination, t.keys, KEY)],
        expected=[["1", "a", "old"]],
    ),
    "insert_missing_copies": PublishCase(
        statements=_missing_copies,
        expected=[
            ["1", "a", "old"],
            ["2", "b'\\", "new"],
            ["2", "b'\\", "old"],
            ["3", "NULL", "new"],
            ["3", "NULL", "old"],
            ["4", "d", "new"],
        ],
    ),
    "insert_all": PublishCase(
        statements=lambda d, t: [
            d.empty_table(t.destination, truncate=False),
            d.insert_all(t.destination, t.staging, COLUMNS),
        ],
        expected=[["2", "b'\\", "new"], ["3", "NULL", "new"], ["4", "d", "new"]],
    ),
}
UPSERT = PublishCase(
    statements=lambda d, t: [d.create_unique(t.destination, KEY), *_statement("upsert")(d, t)],
    # no unique key tells two NULLs apart: keys with NULLs take the null-safe statements
    expected=[["1", "a", "old"], ["2", "b'\\", "new"], ["3", "NULL", "new"], ["3", "NULL", "old"], ["4", "d", "new"]],
)


class _Rollback(Exception):
    """Raised to roll back a publish."""


def insert_rows(d: PublishingDialect, table: TableName, rows: Sequence[Row]) -> str:
    """Return the INSERT of rows of text."""
    values = ", ".join("(" + ", ".join("NULL" if v is None else d.string(v) for v in row) + ")" for row in rows)
    return f"INSERT INTO {d.qualified(table)} ({d.columns(COLUMNS[: len(rows[0])])}) VALUES {values}"


def shown(rows: Sequence[Sequence[Any]]) -> list[list[str]]:
    """Return rows in the form in which the cases state them."""
    return sorted(["NULL" if value is None else str(value) for value in row] for row in rows)


class PublishingTests(Fixtures):
    """The SQL of the strategies."""

    @pytest.fixture
    def tables(self, bench: Workbench) -> Iterator[Tables]:
        """Destination, staging and keys, filled with the rows above."""
        d = bench.publishing
        destination = bench.table("_Or`d[e]'r")
        tables = Tables(
            destination=destination,
            staging=d.staging_table("pipekit_test_staging"),
            keys=d.staging_table("pipekit_test_keys"),
        )
        native = bench.native(Kind.TEXT)
        columns = [(name, native) for name in COLUMNS]
        schemas = [d.create_schema(schema) for schema in (destination.schema, d.staging_schema) if schema]
        drops = [d.drop_table(table) for table in (tables.staging, tables.keys, destination)]
        bench.execute(
            *(sql for sql in (*schemas, *schemas, *drops) if sql),
            d.create_table(destination, columns),
            d.create_table(tables.staging, columns, scratch=True),
            d.create_table(tables.keys, columns[:2], scratch=True),
            insert_rows(d, destination, DESTINATION),
            insert_rows(d, tables.staging, STAGED),
            insert_rows(d, tables.keys, KEY_ROWS),
        )
        yield tables
        if not bench.case.disposable:
            bench.execute(*drops)

    def _published(self, bench: Workbench, tables: Tables, statements: Sequence[str]) -> list[list[str]]:
        """Execute the statements as a publish does, in one transaction; return the rows of the destination."""
        d = bench.publishing
        with bench.session() as session, session.transaction():
            for sql in (*d.begin_publish(tables.destination, lock_seconds=5), *statements):
                session.execute(sql)
        return shown(bench.rows(f"SELECT {d.columns(COLUMNS)} FROM {d.qualified(tables.destination)}"))

    def test_a_publish_produces_the_expected_rows(self, bench: Workbench, tables: Tables) -> None:
        d = bench.publishing
        with bench.session() as session:
            for name, case in STATEMENTS.items():
                with suppress(_Rollback), session.transaction():
                    for sql in (*d.begin_publish(tables.destination, lock_seconds=5), *case.statements(d, tables)):
                        session.execute(sql)
                    rows = session.fetch(f"SELECT {d.columns(COLUMNS)} FROM {d.qualified(tables.destination)}")
                    assert shown(rows) == case.expected, name
                    # the next case begins with the same rows
                    raise _Rollback

    def test_an_upsert_by_a_unique_key_updates_and_inserts(self, bench: Workbench, tables: Tables) -> None:
        d = bench.publishing
        if not (d.has_on_conflict and d.create_unique(tables.destination, KEY)):
            # such a system takes the statements for tables without a unique key
            assert "update_matching" in STATEMENTS and "insert_missing" in STATEMENTS
            return
        assert self._published(bench, tables, UPSERT.statements(d, tables)) == UPSERT.expected

    def test_a_unique_key_refuses_duplicates(self, bench: Workbench, tables: Tables) -> None:
        d = bench.publishing
        if not (sql := d.create_unique(tables.destination, KEY)):
            return
        bench.execute(sql)
        with pytest.raises(PipekitError):
            bench.execute(insert_rows(d, tables.destination, [("1", "a", "again")]))
        with bench.session() as session:
            info = bench.connector.introspector.describe_table(session, tables.destination)
        assert info is not None and KEY in info.unique_keys

    def test_a_failed_publish_leaves_the_destination_unchanged(self, bench: Workbench, tables: Tables) -> None:
        d = bench.publishing
        before = shown(DESTINATION)
        with bench.session() as session, pytest.raises(PipekitError), session.transaction():
            session.execute(d.empty_table(tables.destination, truncate=d.truncates))
            session.execute(d.insert_all(tables.destination, tables.staging, COLUMNS))
            session.execute("SELEC 1")
        assert shown(bench.rows(f"SELECT * FROM {d.qualified(tables.destination)}")) == before

    def test_a_failed_publish_removes_the_tables_it_created(self, bench: Workbench, tables: Tables) -> None:
        d, created = bench.publishing, bench.table("_created")
        if not d.transactional:
            return
        with bench.session() as session:
            with pytest.raises(PipekitError), session.transaction():
                session.execute(d.create_table(created, [("v", bench.native(Kind.TEXT))]))
                session.execute("SELEC 1")
            assert bench.connector.introspector.describe_table(session, created) is None

    def test_counts_before_a_publish_match_its_statements(self, bench: Workbench, tables: Tables) -> None:
        d, to, staging = bench.publishing, tables.destination, tables.staging
        bench.execute(insert_rows(d, to, [("2", "b'\\", "old")]))
        with bench.session() as session:
            assert session.fetch(d.count(to)) == [(4,)]
            assert session.fetch(d.count_pairs(to, staging, KEY, null_safe=True)) == [(2, 3)]
            assert session.fetch(d.count_pairs(to, staging, KEY, null_safe=False)) == [(1, 2)]
            assert session.fetch(d.count_matching(to, staging, KEY, null_safe=True)) == [(2,)]
            assert session.fetch(d.count_matching(to, staging, KEY, null_safe=False)) == [(1,)]
            assert session.fetch(d.count_missing(to, tables.keys, KEY)) == [(3,)]
            assert session.fetch(d.count_missing_copies(to, staging, COLUMNS, "v")) == [(3,)]
            assert session.fetch(d.count_keys(staging, KEY)) == [(3,)]
            assert session.fetch(d.count_null(staging, KEY)) == [(1,)]
            assert session.fetch(d.count_null(staging, KEY[:1])) == [(0,)]
            assert shown(session.fetch(d.select_rows_with_null(staging, "id_2", ("v", "id 1"), limit=5))) == [
                ["new", "3"]
            ]
            assert session.fetch(d.maximum(staging, "id 1")) == [("4",)]
            assert session.fetch(d.second_highest(staging, "id 1")) == [("3",)]
            assert session.fetch(d.count_watermark_values(to, "id 1", ties=True, offsets=True)) == [(0, 1, 0)]
            assert session.fetch(d.count_watermark_values(to, "id_2", ties=False, offsets=False)) == [(1, 0, 0)]
            assert session.fetch(d.current_timestamp())[0][0]

    def test_the_latest_row_of_each_duplicate_key_is_kept(self, bench: Workbench, tables: Tables) -> None:
        d, staging = bench.publishing, tables.staging
        more: list[Row] = [("4", "d", "newer"), ("4", "d", None), ("5", None, "a"), ("5", None, "b")]
        bench.execute(insert_rows(d, staging, more))
        assert shown(bench.rows(d.duplicate_keys(staging, KEY))) == [["4", "d", "3"], ["5", "NULL", "2"]]
        assert bench.rows(d.count_keys(staging, KEY)) == [(4,)]
        bench.execute(d.keep_latest(staging, COLUMNS, KEY, "v"))
        assert shown(bench.rows(f"SELECT * FROM {d.qualified(staging)}")) == [
            ["2", "b'\\", "new"],
            ["3", "NULL", "new"],
            ["4", "d", "newer"],
            ["5", "NULL", "b"],
        ]
        assert bench.rows(d.duplicate_keys(staging, KEY)) == []

    def test_identical_rows_are_all_appended(self, bench: Workbench, tables: Tables) -> None:
        d, to, staging = bench.publishing, tables.destination, tables.staging
        bench.execute(insert_rows(d, staging, [("4", "d", "new"), ("1", "a", "old"), ("1", "a", "old")]))
        assert bench.rows(d.count_missing_copies(to, staging, COLUMNS, "v")) == [(5,)]
        found = self._published(bench, tables, [d.insert_missing_copies(to, staging, COLUMNS, "v")])
        assert (found.count(["4", "d", "new"]), found.count(["1", "a", "old"])) == (2, 2)

"""Queries of many shapes return exactly the newer rows if a watermark predicate is added.

A line of `queries/executed.txt` has the systems that execute the query (all: SQLite, DuckDB and PostgreSQL), its
watermark column and the query.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connections import registry
from connections.sdk.errors import PipekitError
from modules.query.column_mapping import map_columns
from modules.query.rewrite import add_predicate, select_columns
from runs.engine.watermarks.bounds import Bound, predicate
from tests.integration.modules.conftest import System
from tests.queries import grammar

COLUMNS = ("id", "grp", "price", "day", "ts", "tz", "body", "ODD#", "n")
ITEMS: list[tuple[Any, ...]] = [
    (1, 1, "5.5", "2026-01-31", "2026-01-31 10:00:00.000001", "2026-01-31 10:00:00.000001+00", "AB", 10, None),
    (2, 1, "3.25", "2026-01-30", "2026-01-31 10:00:00", "2026-01-31 10:00:00+00", " AB", 20, 5),
    (3, 2, None, None, None, None, None, 30, 1),
    (4, 2, "900000000.0001", "1969-12-31", "1969-12-31 23:59:59.999999", "1969-12-31 23:59:59+00", "O'N FROM", 40, 9),
    (5, None, "0", "2026-02-01", "2026-02-01 00:00:00", "2026-02-01 00:00:00+00", "Müller \\ WHERE", 50, 3),
    (6, 3, "-7", "2026-02-01", "2026-02-01 00:00:00", "2026-02-01 00:00:00+00", "", 60, 7),
    (7, 3, "7", "2026-02-02", "2026-02-02 23:59:59", "2026-02-02 23:59:59+00", "日本", 70, 0),
    (7, 3, "7", "2026-02-02", "2026-02-02 23:59:59", "2026-02-02 23:59:59+00", "日本", 70, 0),
]
TABLE = (
    "CREATE TABLE item (id integer, grp integer, price numeric(20,4), day date, ts timestamp, "
    'tz timestamp with time zone, body varchar(40), "ODD#" integer, n integer)'
)


KINDS = ("sqlite", "duckdb", "postgresql")


@pytest.fixture(scope="module", autouse=True)
def items(sqlite: System, duck: System, postgres: System) -> Iterator[None]:
    for system in (sqlite, duck, postgres):
        system.execute(TABLE)
        for row in ITEMS:
            values = ("NULL" if value is None else system.dialect.string(str(value)) for value in row)
            system.execute(f"INSERT INTO item VALUES ({', '.join(values)})")
    postgres.execute("SET TIME ZONE 'UTC'")
    duck.execute("SET TimeZone = 'UTC'")
    yield
    for system in (sqlite, duck, postgres):
        system.execute("DROP TABLE item")


def _executed(kind: str) -> Iterator[tuple[str, str]]:
    """Yield columns and queries that are executed on systems of the kind."""
    text = (Path(grammar.__file__).parent / "executed.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        kinds, column, query = (part.strip() for part in line.split(" | ", 2))
        # SQLite allows no parentheses around the parts of a UNION
        if (kinds == "all" or kind in kinds.split()) and (kind, query[:1]) != ("sqlite", "("):
            yield column, query


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("kind", KINDS)
def test_a_query_with_a_watermark_predicate_returns_its_newer_rows(systems: dict[str, System], kind: str) -> None:
    cases = list(_executed(kind))
    assert len(cases) > 50
    for column, query in cases:
        check_newer_rows(systems[kind], column, query)


def check_newer_rows(system: System, column: str, query: str) -> None:
    names, rows = system.run(query)
    mapping = map_columns(query, system.dialect)
    if not mapping.star:
        assert len(mapping.columns) == len(names)
    index = [c.dest_name for c in mapping.columns].index(column) if not mapping.star else names.index(column)
    newer = [row for row in rows if row[index] is not None and row[index] > 3]
    bounded = add_predicate(query, system.dialect, column, lambda e: f"{e} > 3", result_name=names[index])
    assert _counter(system.run(bounded)[1]) == _counter(newer), bounded
    empty = add_predicate(query, system.dialect, column, lambda e: "1 = 0", result_name=names[index])
    assert system.run(empty) == (names, []), empty
    if "LIMIT" not in query and "FETCH" not in query:
        keys = system.run(select_columns(query, system.dialect, {column: names[index]}))[1]
        assert _counter(keys) == _counter([(row[index],) for row in rows])


def _counter(rows: list[tuple[Any, ...]]) -> Counter[str]:
    # by repr, as rows with lists are not hashable
    return Counter(map(repr, rows))


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    ("kind", "keywords"),
    [("postgresql", "SELECT word FROM pg_get_keywords()"), ("duckdb", "SELECT keyword_name FROM duckdb_keywords()")],
)
def test_every_keyword_but_as_may_be_the_alias_of_a_filtered_column(
    systems: dict[str, System], kind: str, keywords: str
) -> None:
    system = systems[kind]
    refused = []
    for (keyword,) in system.run(keywords)[1]:
        try:
            bounded = add_predicate(
                f"SELECT DISTINCT n AS {keyword} FROM item", system.dialect, keyword, lambda e: f"{e} > 3"
            )
        except PipekitError:
            refused.append(keyword)
        else:
            assert sorted(system.run(bounded)[1]) == [(5,), (7,), (9,)], bounded
    # n AS as FROM item is ambiguous
    assert refused == ["as"]


SHAPES = [
    "SELECT id, {} AS w FROM item",
    "SELECT {} w, id FROM item WHERE n > 0 OR id = 3 -- WHERE w > 5",
    "SELECT {} AS id, id AS n FROM item WHERE NOT id = 1 OR n IS NULL;",
    "SELECT coalesce({}, {}) AS w FROM item ORDER BY id /* FROM */",
    "SELECT CASE WHEN id > 0 THEN {} END w, 'FROM; ''WHERE' AS s FROM item",
    "SELECT DISTINCT {} AS w, id FROM item",
    "SELECT {} AS w, id FROM item UNION ALL SELECT {}, 99 FROM item WHERE id = 1 OR id = 5",
    "WITH c AS (SELECT {}, id FROM item WHERE id > 1 OR n IS NULL) SELECT {} AS w FROM c WHERE id < 9 OR id = 9",
    "SELECT max({}) AS w, grp FROM item GROUP BY grp",
    "SELECT q.w FROM (SELECT {} AS w FROM item ORDER BY 1 LIMIT 7) q WHERE q.w IS NOT NULL OR 1 = 2",
    "SELECT {} w, row_number() OVER (ORDER BY id) AS r FROM item",
    "SELECT (SELECT min({}) FROM item i WHERE i.id = item.id) AS w FROM item",
]
TYPES = {
    "n": "integer",
    '"ODD#"': "bigint",
    "price": "numeric(20,4)",
    "day": "date",
    "ts": "timestamp",
    "tz": "timestamp with time zone",
    "body": "varchar(40)",
}


@pytest.mark.default_cases(4)
@pytest.mark.parametrize("column", TYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_watermark_of_any_type_returns_the_newer_rows_of_any_query(
    systems: dict[str, System], kind: str, column: str
) -> None:
    for shape in SHAPES:
        check_rows_above_each_limit(systems[kind], kind, column, shape.replace("{}", column))


def check_rows_above_each_limit(system: System, kind: str, column: str, query: str) -> None:
    mapped = map_columns(query, system.dialect).columns
    index = next(i for i, c in enumerate(mapped) if c.dest_name == "w" or c.source_name == column.strip('"'))
    data_type = registry.datatypes(kind).parse(TYPES[column])
    rows = [row for row in system.run(query)[1] if row[index] is not None]
    for limit in {row[index] for row in rows}:
        newer = [row for row in rows if row[index] > limit or (row[index] == limit and not data_type.is_numeric)]
        bounded = _bounded(query, system, Bound(column=mapped[index].dest_name, value=str(limit), data_type=data_type))
        actual = _counter(system.run(bounded)[1])
        if (kind, column) == ("sqlite", "tz"):
            # text with a UTC offset does not sort by time, so up to a day more is read
            assert not _counter(newer) - actual, bounded
        else:
            assert actual == _counter(newer), bounded


def _bounded(query: str, system: System, bound: Bound) -> str:
    def condition(expression: str) -> str:
        return predicate(expression, bound, dialect=system.dialect, source_type=bound.data_type, overlap="")

    return add_predicate(query, system.dialect, bound.column, condition)

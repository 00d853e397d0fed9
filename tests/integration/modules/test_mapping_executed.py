"""The column mapping of a query agrees with the result of executing the query."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from connections.sdk.sql.dialect import Dialect
from modules.query.column_mapping import MappedColumn, map_columns
from modules.query.outline import parse_outline
from modules.query.rewrite import add_predicate, select_columns
from tests.integration.modules.conftest import System
from tests.queries.grammar import Drawn, queries

EXAMPLES = settings(max_examples=120)


@pytest.mark.matrix
@EXAMPLES
@given(drawn=queries(brackets=False), data=st.data())
def test_the_mapping_agrees_with_sqlite(sqlite: System, drawn: Drawn, data: st.DataObject) -> None:
    _check_mapping(sqlite, drawn, data)


@pytest.mark.matrix
@EXAMPLES
@given(drawn=queries(), data=st.data())
def test_the_mapping_agrees_with_duckdb(duck: System, drawn: Drawn, data: st.DataObject) -> None:
    _check_mapping(duck, drawn, data)


@pytest.mark.matrix
@EXAMPLES
@given(drawn=queries(), data=st.data())
def test_the_mapping_agrees_with_postgresql(postgres: System, drawn: Drawn, data: st.DataObject) -> None:
    _check_mapping(postgres, drawn, data)


def _check_mapping(system: System, drawn: Drawn, data: st.DataObject) -> None:
    names, rows = system.run(drawn.text)
    mapping = map_columns(drawn.text, system.dialect)
    assert [_result_name(column, system.dialect) for column in mapping.columns] == names
    assume(len({column.dest_name for column in mapping.columns}) == len(names))
    index = data.draw(st.integers(0, len(names) - 1), label="column")
    column = mapping.columns[index]
    if not mapping.derived:
        _check_expression(system, drawn.text, column, index)
    if drawn.numbers[index]:
        _check_number_filter(system, drawn.text, column, data.draw(st.integers(-2, 9), label="bound"))
    else:
        _check_text_filter(system, drawn.text, column)
    reduced = system.run(select_columns(drawn.text, system.dialect, {column.dest_name: column.source_name}))[1]
    assert Counter(reduced) == Counter((row[index],) for row in rows)
    empty = add_predicate(drawn.text, system.dialect, column.dest_name, lambda e: "1 = 0")
    assert system.run(empty) == (names, []), empty


def _result_name(column: MappedColumn, dialect: Dialect) -> str:
    text = column.alias_text
    if text.startswith('"'):
        return text[1:-1].replace('""', '"')
    return text.lower() if dialect.folds_to == "lower" else text


def _check_expression(system: System, query: str, column: MappedColumn, index: int) -> None:
    first = parse_outline(query, system.dialect).items[0][0].start
    both = f"{query[:first]}{column.source_expression} AS pipekit_check, {query[first:]}"
    if " ORDER" in both.upper():
        return
    for row in system.run(both)[1]:
        left, right = row[0], row[index + 1]
        if column.trim and left is not None:
            left, right = left.strip(), right.strip()
        assert left == right, both


def _check_number_filter(system: System, query: str, column: MappedColumn, bound: int) -> None:
    index = [c.dest_name for c in map_columns(query, system.dialect).columns].index(column.dest_name)
    expected = [row for row in system.run(query)[1] if row[index] is not None and row[index] > bound]
    bounded = add_predicate(query, system.dialect, column.dest_name, lambda e: f"{e} > {bound}")
    assert Counter(system.run(bounded)[1]) == Counter(expected), bounded


def _check_text_filter(system: System, query: str, column: MappedColumn) -> None:
    """Check the rows exactly; with RTRIM, rows between the trimmed and the untrimmed value may be added."""
    expected = system.run(select_all(query, system.dialect, f"{column.alias_text} >= 'B'"))[1]
    bounded = add_predicate(query, system.dialect, column.dest_name, lambda e: f"{e} >= 'B'")
    actual = system.run(bounded)[1]
    if column.trim:
        assert not Counter(expected) - Counter(actual), bounded
    else:
        assert Counter(actual) == Counter(expected), bounded


def select_all(query: str, dialect: Dialect, condition: str) -> str:
    """Return the query as a derived table with a condition, without using the code under test."""
    body = query.rstrip().removesuffix("-- x").rstrip()
    body = body.removesuffix("-- the end; WHERE").removesuffix("-- the end; where").rstrip().rstrip(";")
    return f"SELECT * FROM (\n{body}\n) plain WHERE {condition}"


UNUSUAL = [
    ("sqlite duckdb postgresql", 'SELECT "DCORD#" AS "User" FROM qcrh', "User", '"DCORD#"'),
    ("sqlite duckdb postgresql", 'SELECT t."DCORD#" FROM qcrh t', "dcord", 't."DCORD#"'),
    ("sqlite duckdb postgresql", 'SELECT grp AS "limit" FROM qcrh ORDER BY "limit"', "limit", "grp"),
    ("sqlite duckdb postgresql", "SELECT amount AS user, count(*) AS n FROM qcrh GROUP BY amount", "user", "amount"),
    ("sqlite duckdb postgresql", "SELECT max(amount) AS m FROM qcrh", "m", "max(amount)"),
    ("sqlite duckdb postgresql", "SELECT amount - -1 AS a FROM qcrh WHERE grp > 0--c", "a", "amount - -1"),
    ("sqlite duckdb postgresql", "SELECT amount AS a FROM(SELECT * FROM qcrh)t", "a", "amount"),
    ("sqlite duckdb postgresql", "SELECT amount AS a FROM qcrh WHERE(grp > 0)ORDER BY 1", "a", "amount"),
    ("sqlite duckdb postgresql", "SELECT amount + 1 AS amount, grp AS amount2 FROM qcrh", "amount", "amount + 1"),
    ("sqlite duckdb postgresql", "SELECT 5 AS five", "five", "5"),
    (
        "sqlite duckdb postgresql",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT i AS i FROM n -- where",
        "i",
        "i",
    ),
    ("sqlite", "SELECT [DCORD#] d, `Company Name` FROM qcrh WHERE grp=3 or [DCORD#]=1", "d", "[DCORD#]"),
    ("sqlite", "SELECT amount 'my amount' FROM qcrh", "my amount", "amount"),
    ("sqlite", "SELECT amount AS a, max(grp) AS g FROM qcrh", "a", "amount"),
    ("duckdb postgresql", "SELECT amount AS a /* /* FROM x */ WHERE */ FROM qcrh", "a", "amount"),
    ("duckdb postgresql", "SELECT E'it\\'s FROM' AS e, amount a FROM qcrh WHERE 'x' <> $a$ OR ' $a$", "a", "amount"),
    ("duckdb postgresql", "SELECT amount::bigint a FROM qcrh", "a", "amount::bigint"),
    ("duckdb postgresql", "SELECT DISTINCT ON (grp) amount AS a FROM qcrh ORDER BY grp, amount", "a", "amount"),
    ("duckdb postgresql", "SELECT amount AS a FROM qcrh ORDER BY 1 NULLS LAST OFFSET 2", "a", "amount"),
    (
        "postgresql",
        "SELECT generate_series(amount, 7) AS a FROM qcrh WHERE grp = 1",
        "a",
        "generate_series(amount, 7)",
    ),
    ("postgresql", "SELECT amount AS order FROM qcrh FETCH FIRST 9 ROWS ONLY FOR UPDATE", "order", "amount"),
    ("postgresql", "SELECT amount AS a FROM qcrh WHERE grp > 0 FOR NO KEY UPDATE", "a", "amount"),
    ("postgresql", "WITH c AS MATERIALIZED (SELECT 6 AS n) (SELECT n AS a FROM c WHERE n > 9 OR n < 7)", "a", "n"),
    ("postgresql", "SELECT a.x FROM ROWS FROM (generate_series(1, 5)) AS a(x)", "x", "a.x"),
    ("duckdb", "SELECT a: amount + 1, b: 'x', FROM qcrh", "a", "amount + 1"),
    ("duckdb", "SELECT amount AS a FROM qcrh QUALIFY row_number() OVER (ORDER BY amount) > 2", "a", "amount"),
    ("duckdb", "SELECT [grp, 2][1] AS x, {'a': amount}.a AS a FROM qcrh", "a", "{'a': amount}.a"),
]


@pytest.mark.parametrize(("kinds", "query", "column", "expression"), UNUSUAL)
def test_unusual_queries_are_filtered_correctly(
    systems: dict[str, System], kinds: str, query: str, column: str, expression: str
) -> None:
    for system in (systems[kind] for kind in kinds.split()):
        mapped = next(c for c in map_columns(query, system.dialect).columns if c.dest_name == column)
        assert mapped.source_expression == expression
        _check_number_filter(system, query, mapped, 2)
        assert system.run(add_predicate(query, system.dialect, column, lambda e: f"{e} > 2"))[1]


@pytest.mark.parametrize("inside", ["", " FROM note", " FROM note n WHERE n.id = qcrh.grp"])
def test_an_aggregate_of_the_outer_query_inside_a_subquery_is_recognized(sqlite: System, inside: str) -> None:
    query = f'SELECT "DCORD#" AS d, (SELECT max(qcrh.amount * (3 - "DCORD#")){inside}) AS m FROM qcrh'
    assert [row[0] for row in sqlite.run(query)[1]] == [1]
    assert sqlite.run(add_predicate(query, sqlite.dialect, "d", lambda e: f"{e} > 2"))[1] == []


def test_a_star_query_is_filtered_by_the_column_name_of_the_source(systems: dict[str, System]) -> None:
    for system in systems.values():
        for query in (
            "SELECT * FROM qcrh",
            'WITH c AS (SELECT * FROM qcrh) SELECT c.*, 1 AS one FROM c ORDER BY "DCORD#";',
        ):
            bounded = add_predicate(query, system.dialect, "dcord", lambda e: f"{e} > 5", result_name="DCORD#")
            assert [row[0] for row in sorted(system.run(bounded)[1])] == [6, 7, 7]


def test_a_values_query_is_filtered_by_the_column_name_of_the_source(systems: dict[str, System]) -> None:
    for system in systems.values():
        query = "VALUES (1, 'a'), (2, 'b'), (3, 'c')"
        name = system.run(query)[0][0]
        bounded = add_predicate(query, system.dialect, "c", lambda e: f"{e} > 1", result_name=name)
        assert system.run(bounded)[1] == [(2, "b"), (3, "c")]

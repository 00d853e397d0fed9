"""Placeholders of named watermarks in query text: which {words} are placeholders, and how values replace them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connections import registry
from connections.sdk.errors import DataError, TokenUnknown
from modules.query.placeholders import check_placeholders, find_placeholders, replace_placeholders, unused

POSTGRESQL = registry.dialect("postgresql")


@pytest.mark.parametrize(
    ("kind", "query", "expected"),
    [
        ("postgresql", "SELECT a FROM t WHERE d > '{since}' AND n > {n} AND d < '{since}'", ("since", "n")),
        ("postgresql", 'SELECT a -- {no}\n FROM t /* {no} */ WHERE "{no}" = $${no}$$', ()),
        ("postgresql", "SELECT '{1,2}', '{\"a\": 1}', '{{no}}', '{}', '{a b}', '\\d{3}' FROM t", ()),
        ("postgresql", "SELECT E'{a}\\'{b}' FROM sales_{year}", ("a", "b", "year")),
        ("jdbc", "SELECT {fn now()}, {d '2020-01-01'}, {ts '{t} 00:00'}, {{no}}, { no } FROM t", ("t",)),
        ("sqlserver", "SELECT [{no}] FROM t WHERE a = N'{a}' AND b IN ({b})", ("a", "b")),
        ("mysql", "SELECT `{no}`, \"{a}\" FROM t # {no}\n WHERE b = '\\'{b}'", ("a", "b")),
        ("oracle", "SELECT q'[{no}]' FROM t WHERE d > TO_DATE('{since}', 'YYYY')", ("since",)),
        ("clickhouse", "SELECT {no:UInt8}, '{a}' FROM t", ("a",)),
        ("duckdb", "SELECT {'x': 1, y: 2}, {a} FROM t", ("a",)),
    ],
)
def test_placeholders_are_found_in_plain_sql_and_in_literals_only(
    kind: str, query: str, expected: tuple[str, ...]
) -> None:
    assert find_placeholders(query, registry.dialect(kind)) == expected


@pytest.mark.parametrize(
    ("kind", "query", "value", "expected"),
    [
        ("postgresql", "WHERE d > '{x}'", "2020-01-01", "WHERE d > '2020-01-01'"),
        ("postgresql", "WHERE d > '{x}T00'", "o'clock {y}", "WHERE d > 'o''clock {y}T00'"),
        ("postgresql", "WHERE d > '{x}'", "a\\b", "WHERE d > 'a\\b'"),
        ("postgresql", "WHERE d > E'{x}'", "a\\b", "WHERE d > E'a\\\\b'"),
        ("postgresql", "WHERE n > {x}", "12345", "WHERE n > 12345"),
        ("postgresql", "WHERE n > {x}", "-1.5e3", "WHERE n > -1.5e3"),
        ("postgresql", "WHERE n > 5-{x}", "-3", "WHERE n > 5- -3"),
        ("postgresql", "WHERE n > {x}", "1; DROP TABLE t", "WHERE n > '1; DROP TABLE t'"),
        ("postgresql", "WHERE n > {x}", "", "WHERE n > ''"),
        ("postgresql", "WHERE n > {x}", "١٢", "WHERE n > '١٢'"),
        ("postgresql", "FROM sales_{x}", "2024", "FROM sales_2024"),
        ("mysql", "WHERE d > '{x}'", "\\' OR 1", "WHERE d > '\\\\'' OR 1'"),
        ("mysql", 'WHERE d > "{x}"', "a\"b'", 'WHERE d > "a""b\'"'),
        ("mysql", "WHERE d > {x}", "a\\b", "WHERE d > 'a\\\\b'"),
        ("sqlserver", "WHERE d > N'{x}'", "it's", "WHERE d > N'it''s'"),
        ("clickhouse", "WHERE d > '{x}'", "\\", "WHERE d > '\\\\'"),
    ],
)
def test_placeholders_are_replaced_with_quoted_values(kind: str, query: str, value: str, expected: str) -> None:
    assert replace_placeholders(f"SELECT a {query}", registry.dialect(kind), {"x": value}) == f"SELECT a {expected}"


@given(value=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_sqlite_returns_any_value_of_a_placeholder_unchanged(value: str) -> None:
    query = replace_placeholders("SELECT '{x}', '<{x}>' -- {x}", registry.dialect("sqlite"), {"x": value})
    with sqlite3.connect(":memory:") as connection:
        assert connection.execute(query).fetchone() == (value, f"<{value}>")
    connection.close()


@pytest.fixture(scope="module")
def connection(postgresql_server: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        yield connection


@given(value=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_postgresql_returns_any_value_of_a_placeholder_unchanged(connection: psycopg.Connection, value: str) -> None:
    query = replace_placeholders("SELECT '{x}', E'\\'{x}\\\\', CAST({x} AS text)", POSTGRESQL, {"x": value})
    plain, escaped, outside = psycopg.ClientCursor(connection).execute(query).fetchone() or ()
    assert (plain, escaped) == (value, f"'{value}\\")
    assert outside == value or float(outside) == float(value)


def test_a_placeholder_without_a_watermark_is_refused_and_an_unused_watermark_is_found() -> None:
    check_placeholders("SELECT {a} FROM t WHERE d > '{b}'", POSTGRESQL, ["b", "a"])
    with pytest.raises(TokenUnknown, match=r"\{since\}"):
        check_placeholders("SELECT a FROM t WHERE d > '{since}'", POSTGRESQL, [])
    check_placeholders("SELECT {a} FROM t -- {since}", POSTGRESQL, ["a", "since"])
    assert unused("SELECT {a} FROM t -- {since}", POSTGRESQL, ["a", "since"]) == ("since",)


def test_braces_with_a_blank_inside_are_not_a_placeholder() -> None:
    with pytest.raises(TokenUnknown) as caught:
        check_placeholders("SELECT doc #>> '{name}' AS n FROM t", POSTGRESQL, [])
    assert "{ name }" in caught.value.hint
    check_placeholders("SELECT doc #>> '{ name }' AS n FROM t", POSTGRESQL, [])


def test_a_value_with_a_backslash_before_a_line_break_is_refused_for_sql_server() -> None:
    query, dialect = "SELECT a FROM t WHERE b > '{x}'", registry.dialect("sqlserver")
    assert replace_placeholders(query, dialect, {"x": "a\\b"}).endswith("'a\\b'")
    with pytest.raises(DataError, match="backslash"):
        replace_placeholders(query, dialect, {"x": "a\\\nb"})


def test_a_placeholder_without_a_value_is_refused() -> None:
    with pytest.raises(TokenUnknown, match=r"\{b\}"):
        replace_placeholders("SELECT {a}, {b}", POSTGRESQL, {"a": "1"})


def test_a_value_with_a_nul_byte_is_refused() -> None:
    for query in ("SELECT {a}", "SELECT '{a}'"):
        with pytest.raises(DataError, match=r"\{a\}"):
            replace_placeholders(query, POSTGRESQL, {"a": "x\0y"})


@pytest.mark.parametrize(
    ("kind", "literal", "advice"),
    [
        ("postgresql", "'{red}'", "'{' || 'red}'"),
        ("postgresql", "E'a\\'{red} b'", "E'a\\'{' || E'red} b'"),
        ("sqlite", "'{red}'", "'{' || 'red}'"),
        ("duckdb", "'{red}'", "'{' || 'red}'"),
        ("as400", "'{red}'", "'{' || 'red}'"),
        ("oracle", "N'{red}'", "N'{' || N'red}'"),
        ("clickhouse", "'{red}'", "'{' || 'red}'"),
        ("h2", "'{red}'", "'{' || 'red}'"),
        ("jdbc", "'{red}'", "'{' || 'red}'"),
        ("mysql", "'{red}'", "CONCAT('{', 'red}')"),
        ("mysql", '"it\'s {red}"', 'CONCAT("it\'s {", "red}")'),
        ("sqlserver", "N'x{red}'", "N'x{' + N'red}'"),
        ("postgresql", f"'{'long ' * 20}{{red}}'", "'{' || 'red}'"),
    ],
)
def test_the_hint_shows_how_to_write_braces_in_a_literal(kind: str, literal: str, advice: str) -> None:
    dialect = registry.dialect(kind)
    with pytest.raises(TokenUnknown) as caught:
        check_placeholders(f"SELECT id FROM t WHERE code = {literal}", dialect, [])
    assert f"in two parts: {advice}." in caught.value.hint
    assert ("{ red }" in caught.value.hint) is (kind == "postgresql")
    check_placeholders(f"SELECT id FROM t WHERE code = {advice}", dialect, [])


def test_the_literal_shown_in_the_hint_has_the_same_value(connection: psycopg.Connection) -> None:
    literals = "'a {' || 'red} b', E'\\'{' || E'red}'"
    assert connection.execute(f"SELECT {literals}").fetchone() == ("a {red} b", "'{red}")
    with sqlite3.connect(":memory:") as lite:
        assert lite.execute("SELECT 'a {' || 'red} b'").fetchone() == ("a {red} b",)
    lite.close()


@pytest.mark.parametrize("kind", registry.kinds())
def test_doubled_braces_are_left_unchanged(kind: str) -> None:
    query = "SELECT '{{red}}', '{{x}}' FROM t WHERE a > '{x}'"
    check_placeholders(query, registry.dialect(kind), ["x"])
    assert replace_placeholders(query, registry.dialect(kind), {"x": "7"}) == query.replace("'{x}'", "'7'")

"""Quoting of names and strings with any content, checked with real systems and with each dialect's tokenizer."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import Dialect as SqlglotDialect
from sqlglot import TokenType

from connections import registry
from connections.sdk.errors import ConfigurationInvalid, DataError

KINDS = registry.kinds()
TOKENIZERS = {kind: registry.dialect(kind).grammar.sqlglot for kind in KINDS}
HOSTILE = [
    "a'b",
    'a"b',
    "a`b",
    "a]b",
    "[a]]",
    "\\",
    "\\'",
    "a\\",
    "'; DROP TABLE x; --",
    '"; DROP TABLE x; --',
    "]; DROP TABLE x; --",
    "`; DROP TABLE x; --",
    "\\'; DROP TABLE x; --",
    "/* x */",
    "-- x",
    "{wm}",
    "%s",
    "?",
    "select",
    "DCORD#",
    "Company Name",
    "\u202eabc",
    "naïve Zoë 学",
    "line\nbreak",
    "tab\ttab",
]
PLAIN = st.characters(codec="utf-8", exclude_characters="\0")
names = st.sampled_from(HOSTILE) | st.text(PLAIN, min_size=1, max_size=12)
texts = st.sampled_from(HOSTILE) | st.text(PLAIN, max_size=40) | st.text("'\\\"`]\n\r\t;-%", max_size=12)


def _select(kind: str, run: Callable[[str], tuple[str, Any]]) -> Callable[[str, str], tuple[str, Any]]:
    """Return a function that selects a text under a column name, and returns the name and text of the result."""
    dialect = registry.dialect(kind)
    return lambda name, text: run(f"SELECT {dialect.string(text)} AS {dialect.quote(name)}")


@pytest.fixture(scope="module")
def postgresql(postgresql_server: str) -> Iterator[Callable[[str, str], tuple[str, Any]]]:
    with psycopg.connect(postgresql_server, autocommit=True) as connection:

        def run(sql: str) -> tuple[str, Any]:
            cursor = connection.execute(sql.encode())
            assert cursor.description
            return cursor.description[0].name, cursor.fetchall()[0][0]

        yield _select("postgresql", run)


@pytest.mark.matrix
@given(name=names, text=texts)
def test_postgresql_returns_any_name_and_text_unchanged(
    postgresql: Callable[[str, str], tuple[str, Any]], name: str, text: str
) -> None:
    assert postgresql(name, text) == (name, text)


@given(name=names, text=texts)
def test_sqlite_returns_any_name_and_text_unchanged(name: str, text: str) -> None:
    def run(sql: str) -> tuple[str, Any]:
        cursor = connection.execute(sql)
        return cursor.description[0][0], cursor.fetchall()[0][0]

    connection = sqlite3.connect(":memory:")
    try:
        assert _select("sqlite", run)(name, text) == (name, text)
    finally:
        connection.close()


_duckdb = duckdb.connect()


@given(name=names, text=texts)
def test_duckdb_returns_any_name_and_text_unchanged(name: str, text: str) -> None:
    def run(sql: str) -> tuple[str, Any]:
        cursor = _duckdb.execute(sql)
        assert cursor.description
        return cursor.description[0][0], cursor.fetchall()[0][0]

    assert _select("duckdb", run)(name, text) == (name, text)


def _tokens(kind: str, sql: str) -> list[tuple[TokenType, str]]:
    return [(token.token_type, token.text) for token in SqlglotDialect.get_or_raise(TOKENIZERS[kind]).tokenize(sql)]


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("kind", KINDS)
@given(name=names)
def test_a_quoted_name_is_one_token_with_that_name(kind: str, name: str) -> None:
    try:
        quoted = registry.dialect(kind).quote(name)
    except ConfigurationInvalid:
        assert kind in ("mysql", "oracle")
        return
    expected = [(TokenType.IDENTIFIER, name), (TokenType.SEMICOLON, ";")]
    assert _tokens(kind, quoted + ";")[:2] == expected
    assert len(_tokens(kind, quoted + ";")) == 2


@pytest.mark.default_cases(3)
@pytest.mark.parametrize("kind", KINDS)
@given(text=texts)
def test_a_string_literal_has_exactly_that_text(kind: str, text: str) -> None:
    tokens = _tokens(kind, registry.dialect(kind).string(text) + ";")
    strings = (TokenType.STRING, TokenType.NATIONAL_STRING)
    # for SQL Server, a string is split at a backslash before a line break
    assert "".join(value for token, value in tokens if token in strings) == text
    assert {value for token, value in tokens if token not in strings} <= {"(", "+", ")", ";"}
    assert [value for _, value in tokens].count(";") - (text == ";") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_empty_names_nul_bytes_and_surrogates_are_refused(kind: str) -> None:
    dialect = registry.dialect(kind)
    for name, hint in (("", "Name every column"), ("a\0b", "without NUL bytes"), ("\ud800", "without surrogates")):
        with pytest.raises(ConfigurationInvalid) as caught:
            dialect.quote(name)
        assert hint in caught.value.hint
    with pytest.raises(DataError, match="NUL byte"):
        dialect.string("a\0b")


@pytest.mark.parametrize(
    ("kind", "fits", "too_long"),
    [
        ("postgresql", "ü" * 31 + "a", "ü" * 32),
        ("as400", "ü" * 64, "ü" * 64 + "a"),
        ("oracle", "ü" * 64, "ü" * 64 + "a"),
        ("sqlserver", "ü" * 128, "ü" * 128 + "a"),
        ("mysql", "ü" * 64, "ü" * 64 + "a"),
        ("h2", "ü" * 256, "ü" * 256 + "a"),
    ],
)
def test_the_length_of_a_name_is_measured_in_the_unit_of_the_system(kind: str, fits: str, too_long: str) -> None:
    assert fits in registry.dialect(kind).quote(fits)
    with pytest.raises(ConfigurationInvalid, match="allows"):
        registry.dialect(kind).quote(too_long)


def test_names_that_oracle_or_mysql_do_not_allow_are_refused() -> None:
    with pytest.raises(ConfigurationInvalid, match="double quote|cannot be a name"):
        registry.dialect("oracle").quote('a"b')
    for name in ("a ", "a😀"):
        with pytest.raises(ConfigurationInvalid):
            registry.dialect("mysql").quote(name)


def test_sql_server_keeps_a_backslash_before_a_line_break() -> None:
    # T-SQL drops a backslash with the line break that follows it
    string = registry.dialect("sqlserver").string
    assert string("a\\\nb") == "('a\\' + '\nb')"
    assert string("ü\\\r\nb\\\nc") == "(N'ü\\' + N'\r\nb\\' + N'\nc')"
    assert string("a\\nb\n") == "'a\\nb\n'"
    assert string("Zoë") == "N'Zoë'"

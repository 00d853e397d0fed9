"""Plain queries are split without sqlglot, into the same pieces as with sqlglot."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from connections import registry
from connections.sdk.errors import QueryInvalid
from modules.query.pieces import split_by_sqlglot, split_plain
from modules.query.words import AGGREGATES
from pipekit_site.config.config import BASE_DIR
from tests.queries.grammar import Drawn, queries

QUERIES = Path(__file__).parents[2] / "queries"
# each is plain next to some fragments and special next to others
FRAGMENTS = [
    *("a", "N", "x", "q", "_b1", "1", "0", "2.5", "1e5", "'t'", "''", "'it''s'", "'\\'", '"n"', '""', '"a""b"'),
    *(" ", "\n", "\t", "\r", "(", ")", ",", ".", ";", "*", "+", "-", "--", "/", "/*", "*/", "=", "<", ">", "!", "|"),
    *("||", "<=", "<>", "!=", "->", "->>", "::", ":", "@", "#", "$", "{", "}", "[", "]", "%", "^", "~", "`", "?", "&"),
    *("é", "\u00a0", "\\", "'", '"', "0x1", "SELECT"),
]
WITHOUT_MARKS = str.maketrans("", "", "⟦⟧«»")


def assert_same(query: str, kind: str) -> bool:
    """Return whether the query is plain; fail if it is and sqlglot splits it into other pieces."""
    dialect = registry.dialect(kind)
    plain = split_plain(query, dialect)
    if plain is not None:
        assert plain == split_by_sqlglot(query, dialect)
    return plain is not None


@given(fragments=st.lists(st.sampled_from(FRAGMENTS), max_size=12), kind=st.sampled_from(registry.kinds()))
def test_any_plain_text_is_split_as_by_sqlglot(fragments: list[str], kind: str) -> None:
    assert_same("".join(fragments), kind)


@given(drawn=queries(), kind=st.sampled_from(registry.kinds()))
def test_generated_queries_are_split_as_by_sqlglot(drawn: Drawn, kind: str) -> None:
    assert_same(drawn.text, kind)


def lines() -> Iterator[str]:
    for file in sorted(QUERIES.glob("*.txt")):
        yield from file.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("kind", registry.kinds())
def test_example_queries_are_split_as_by_sqlglot(kind: str) -> None:
    plain_count = 0
    for line in lines():
        for query in (line, line.translate(WITHOUT_MARKS), line.replace("\\n", "\n").translate(WITHOUT_MARKS)):
            try:
                plain_count += assert_same(query, kind)
            except QueryInvalid as error:
                raise AssertionError(f"{query} is plain, but sqlglot refuses it: {error}") from error
    assert plain_count > 50


def test_aggregates_include_all_of_sqlglot() -> None:
    def subclasses(kind: type[exp.Expr]) -> Iterator[type[exp.Expr]]:
        for child in kind.__subclasses__():
            yield child
            yield from subclasses(child)

    names = {name for kind in subclasses(exp.AggFunc) if issubclass(kind, exp.Func) for name in kind.sql_names()}
    assert names - AGGREGATES == set()


PROGRAM = """
import sys
from connections import registry
from modules.query.column_mapping import *
from modules.query.tokens import read
read('SELECT a.x AS "Y", SUM(b) FROM t a WHERE z = \\'one\\' AND w >= 2.5 GROUP BY 1', registry.dialect("sqlite"))
assert "sqlglot" not in sys.modules
read("SELECT a -- comment", registry.dialect("sqlite"))
assert "sqlglot" in sys.modules
"""


def test_a_plain_query_does_not_import_sqlglot() -> None:
    process = subprocess.run([sys.executable, "-c", PROGRAM], cwd=BASE_DIR, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr

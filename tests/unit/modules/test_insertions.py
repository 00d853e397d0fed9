"""Rewriting a query only inserts text: all its characters and tokens stay, in their order."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import assume, given, reject
from hypothesis import strategies as st

from connections import registry
from connections.sdk.errors import ColumnUnmapped, PipekitError
from connections.sdk.sql.dialect import Dialect
from modules.query.column_mapping import map_columns
from modules.query.rewrite import add_predicate, select_highest
from modules.query.tokens import read
from tests.queries.grammar import Drawn, queries


@given(drawn=queries(), kind=st.sampled_from(registry.kinds()))
def test_a_rewritten_query_contains_all_characters_and_tokens_in_order(drawn: Drawn, kind: str) -> None:
    dialect = registry.dialect(kind)
    query = drawn.text
    try:
        names = [column.dest_name for column in map_columns(query, dialect).columns]
    except ColumnUnmapped:
        # "a" is a text in MySQL and not an alias
        reject()
    assume(names.count(names[0]) == 1)
    for result in (
        add_predicate(query, dialect, names[0], lambda e: f"{e} > 1"),
        select_highest(query, dialect, names[0]),
    ):
        assert _contains(result, query)
        assert _contains(_tokens(result, dialect), _tokens(query, dialect))


WORDS = """
SELECT FROM WHERE ( ) , , AS a b t "x" [q] `z` 'str' 1 . * = OR UNION EXCEPT GROUP ORDER BY LIMIT 5 FETCH FIRST WITH
UR FOR UPDATE TOP DISTINCT ON VALUES ; /* */ {since} { } [ ] CASE WHEN END OVER count( RTRIM( :: := @v # $ $$ INTO IS
DELETE OPTION SETTINGS FORMAT INTERVAL DAY CONCAT ROWNUM N'x' E'\'' q'[x]' /*! FILTER USING SAMPLE PIVOT JOIN LOCK
"""


@given(words=st.lists(st.sampled_from(WORDS.split()), max_size=14), kind=st.sampled_from(registry.kinds()))
def test_random_text_is_rewritten_by_insertion_or_refused_with_a_hint(words: list[str], kind: str) -> None:
    query = "SELECT " + " ".join(words)
    try:
        result = add_predicate(query, registry.dialect(kind), "a", lambda e: f"{e} > 1", result_name="a")
    except PipekitError as error:
        assert error.message and error.hint
    else:
        assert _contains(result, query)


def _tokens(query: str, dialect: Dialect) -> list[str]:
    return [token.text for token in read(query, dialect)]


def _contains(longer: Sequence[str], shorter: Sequence[str]) -> bool:
    """Return whether ``shorter`` is a subsequence of ``longer``."""
    remaining = iter(longer)
    return all(part in remaining for part in shorter)

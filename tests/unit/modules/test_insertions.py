"""Rewriting a query only inserts text: all its characters and tokens stay, in their order."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from connections import registry
from connections.sdk.errors import PipekitError
from modules.query.rewrite import add_predicate, no_rows
from modules.query.tokens import read
from tests.queries.grammar import Drawn, queries


@given(drawn=queries(), kind=st.sampled_from(registry.kinds()))
def test_a_rewritten_query_contains_all_characters_and_tokens_in_order(drawn: Drawn, kind: str) -> None:
    dialect = registry.dialect(kind)
    query = drawn.text
    result = no_rows(query, dialect)
    assert _contains(result, query)
    assert _contains([token.text for token in read(result, dialect)], [token.text for token in read(query, dialect)])


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


def _contains(longer: Sequence[str], shorter: Sequence[str]) -> bool:
    """Return whether ``shorter`` is a subsequence of ``longer``."""
    remaining = iter(longer)
    return all(part in remaining for part in shorter)

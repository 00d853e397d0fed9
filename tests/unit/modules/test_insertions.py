"""Whatever the query, its text stays as it was: characters and tokens are all there, in their order."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from connections import registry
from connections.sdk.errors import PipekitError
from modules.query.rewrite import add_predicate, no_rows
from modules.query.tokenizer import read
from tests.queries.grammar import Drawn, queries


@given(drawn=queries(), kind=st.sampled_from(registry.kinds()))
def test_every_character_and_token_of_the_user_stays_in_its_order(drawn: Drawn, kind: str) -> None:
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
def test_text_that_is_no_query_is_refused_in_plain_words(words: list[str], kind: str) -> None:
    query = "SELECT " + " ".join(words)
    try:
        result = add_predicate(query, registry.dialect(kind), "a", lambda e: f"{e} > 1", result_name="a")
    except PipekitError as refused:
        assert refused.message and refused.hint
    else:
        assert _contains(result, query)


def _contains(longer: Sequence[str], shorter: Sequence[str]) -> bool:
    """Whether ``shorter`` is left when some of ``longer`` is taken out."""
    rest = iter(longer)
    return all(part in rest for part in shorter)

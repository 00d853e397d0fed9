"""The tokens of a query in each dialect: quoted text and comments are recognized, and positions are exact."""

from __future__ import annotations

import pytest

from connections import registry
from connections.sdk.errors import QueryInvalid
from modules.query.pieces import TokenKind
from modules.query.tokens import read

TOKENIZED = [
    ("postgresql", "a$1 $1 E'it\\'s' U&'d' -- c\n 1.5e3 /* /* */ */ b", "a$1|$|1|E'it\\'s'|U&'d'|1.5e3|b"),
    ("postgresql", '$x$ \' $x$ $$;$$ "a""b" \'x\\\' ü', '$x$ \' $x$|$$;$$|"a""b"|\'x\\\'|ü'),
    ("postgresql", "a::b->>'c' {since}", "a|::|b|->>|'c'|{|since|}"),
    ("duckdb", "E'\\'' $$;$$ {'a': [1]} x[1] /* /* */ */ b", "E'\\''|$$;$$|{|'a'|:|[|1|]|}|x|[|1|]|b"),
    ("sqlite", "[a b] `c``d` \"e\" 'f''g' x'1f' /* /* */ h$i", "[a b]|`c``d`|\"e\"|'f''g'|x'1f'|h$i"),
    ("mysql", "'a\\'b' \"c\\\"d\" `e` # f\n g -- h\n 5--1 1a b$c", "'a\\'b'|\"c\\\"d\"|`e`|g|5|-|-|1|1a|b$c"),
    ("sqlserver", "[a]]b] \"c\" N'd''e' #t @v ##g a$b /* /* */ */ f", "[a]]b]|\"c\"|N'd''e'|#t|@v|##g|a$b|f"),
    ("oracle", "q'[it's]' nq'!a'b!' a#$ t@x /* /* */ b (+)", "q'[it's]'|nq'!a'b!'|a#$|t@x|b|(|+|)"),
    ("clickhouse", "a / b // c\n / d #! e\n /* /* */ */ f", "a|/|b|/|d|f"),
    ("duckdb", "a // b", "a|/|/|b"),
    ("clickhouse", "'a\\'b' `c\\`d` \"e\" # f\n $$g'$$ 1_000 h", "'a\\'b'|`c\\`d`|\"e\"|$$g'$$|1_000|h"),
    ("as400", "DCORD# @A $B #C L/F 'it''s' /* /* */ */ x ¬= y", "DCORD#|@A|$B|#C|L|/|F|'it''s'|x|¬|=|y"),
    ("jdbc", "A#B {fn now()} 'x'", "A#B|{|fn|now|(|)|}|'x'"),
]


@pytest.mark.parametrize(("kind", "text", "expected"), TOKENIZED)
def test_a_query_is_split_into_the_tokens_of_its_dialect(kind: str, text: str, expected: str) -> None:
    tokens = read(text, registry.dialect(kind))
    assert [token.text for token in tokens] == expected.split("|")
    assert all(text[token.start : token.stop] == token.text for token in tokens)


def test_positions_are_counted_in_characters() -> None:
    text = "SELECT '日本🎌' AS größe, \"é\u0301\" FROM tablé -- ü"
    assert [text[t.start : t.stop] for t in read(text, registry.dialect("postgresql"))] == [
        "SELECT", "'日本🎌'", "AS", "größe", ",", '"é\u0301"', "FROM", "tablé",
    ]  # fmt: skip


def test_every_word_is_a_token_of_its_own() -> None:
    text = "SELECT start FETCH FIRST 5 ROWS ONLY GROUP /* c */ BY x ORDER   BY y END FETCH"
    for kind in registry.kinds():
        assert [token.word for token in read(text, registry.dialect(kind))] == (
            "SELECT START FETCH FIRST 5 ROWS ONLY GROUP BY X ORDER BY Y END FETCH".replace("5", "").split(" ")
        )


def test_a_quoted_name_is_given_without_its_quotes() -> None:
    for kind, text in (("sqlserver", "[a]]b]"), ("mysql", "`a]b`"), ("oracle", '"a]b"')):
        (token,) = read(text, registry.dialect(kind))
        assert (token.kind, token.name, token.word) == (TokenKind.QUOTED, "a]b", "")


def test_unicode_spaces_separate_tokens_in_some_dialects_and_are_allowed_in_quotes_and_comments() -> None:
    for kind in ("sqlserver", "duckdb", "clickhouse"):
        assert [token.text for token in read("a\u00a0b\u3000c", registry.dialect(kind))] == ["a", "b", "c"]
    text = "SELECT 'a\u00a0b', \"c\u200b\" -- d\u00a0e"
    assert len(read(text, registry.dialect("postgresql"))) == 4


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("postgresql", "SELECT 'a"),
        ("postgresql", 'SELECT "a'),
        ("postgresql", "SELECT a /* b"),
        ("postgresql", "SELECT a /* /* b */"),
        ("postgresql", "SELECT $x$ a $y$"),
        ("postgresql", "SELECT (a"),
        ("postgresql", "SELECT a)"),
        ("postgresql", "SELECT (a]"),
        ("postgresql", "SELECT a {# b #} FROM t"),
        ("mysql", "SELECT a -- b\rFROM t"),
        ("postgresql", "SELECT a\u00a0AS b FROM t"),
        ("mysql", "SELECT a\u3000FROM t"),
        ("sqlserver", "\ufeffSELECT a FROM t"),
        ("sqlserver", "SELECT a\u200b FROM t"),
        ("jdbc", "SELECT a /* b /* c */ FROM t */"),
        ("jdbc", "SELECT a FROM t WHERE b = 'C:\\' AND c = ' OR '"),
        ("jdbc", "SELECT a FROM t // WHERE b"),
        ("jdbc", "SELECT a FROM t # WHERE b"),
        ("jdbc", "SELECT $$ a FROM t $$ AS b"),
        ("jdbc", 'SELECT "a\\" b" FROM t'),
        ("mysql", "SELECT 'a\\'"),
    ],
)
def test_unbalanced_or_ambiguous_text_is_refused(kind: str, text: str) -> None:
    with pytest.raises(QueryInvalid) as caught:
        read(text, registry.dialect(kind))
    assert caught.value.hint

"""Tokenizers for each grammar: sqlglot's without keywords and with the corrections of the grammar.

Keywords are recognised later by their position. sqlglot's own keyword handling consumes the text after some of them,
and recognises keywords of two words only if exactly one space is between them.
"""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from sqlglot.dialects.dialect import Dialect
from sqlglot.tokens import Tokenizer

from connections.sdk.sql.grammar import Grammar

_OPERATORS = ("::", ":=", "||", "->", "->>", "<=", ">=", "<>", "!=")
_NAME_SIGNS = {"#", "@", "$"}
# where names may begin with #, @ and $, these are not tokens of their own
_SIGNS = {sign: kind for sign, kind in Tokenizer.SINGLE_TOKENS.items() if sign not in _NAME_SIGNS}


def _corrections(grammar: Grammar) -> dict[str, Any]:
    """Return the attributes of a sqlglot tokenizer that the grammar replaces."""
    changes: dict[str, Any] = {"KEYWORDS": {text: Tokenizer.KEYWORDS[text] for text in _OPERATORS}}
    if grammar.line_comments:
        changes["COMMENTS"] = [*grammar.line_comments, ("/*", "*/")]
    if grammar.string_quotes:
        changes["QUOTES"] = list(grammar.string_quotes)
    if grammar.identifier_quotes:
        changes["IDENTIFIERS"] = list(grammar.identifier_quotes)
    if grammar.name_signs:
        changes |= {"SINGLE_TOKENS": _SIGNS, "VAR_SINGLE_TOKENS": _NAME_SIGNS}
    return changes


@cache
def _dialect(grammar: Grammar) -> tuple[type[Tokenizer], Dialect]:
    """Return tokenizer class and dialect; sqlglot imports only the requested dialect."""
    dialect = Dialect.get_or_raise(grammar.sqlglot)
    tokenizer_class = type("CorrectedTokenizer", (dialect.tokenizer_class,), _corrections(grammar))
    return cast(type[Tokenizer], tokenizer_class), dialect


def tokenizer(grammar: Grammar) -> Tokenizer:
    """Return a new tokenizer for a grammar; tokenizers are stateful."""
    tokenizer_class, dialect = _dialect(grammar)
    return tokenizer_class(dialect=dialect)


def line_comments(grammar: Grammar) -> tuple[str, ...]:
    """Return the markers that begin a comment until the end of the line."""
    return tuple(mark for mark, end in _dialect(grammar)[0]._COMMENTS.items() if end is None)


def has_nested_comments(grammar: Grammar) -> bool | None:
    """Return whether comments nest; None if that is unknown, for a system known only to its JDBC driver."""
    return _dialect(grammar)[0].NESTED_COMMENTS if grammar.is_known else None

"""Tokenizers for each system: sqlglot's without keywords and with corrections, and one for DB2 for i.

Keywords are recognised later by their position. sqlglot's own keyword handling consumes the text after some of them,
and recognises keywords of two words only if exactly one space is between them.
"""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from sqlglot import tokens
from sqlglot.dialects.dialect import Dialect
from sqlglot.tokens import Tokenizer

_OPERATORS = ("::", ":=", "||", "->", "->>", "<=", ">=", "<>", "!=")
_NAME_SIGNS = {"#", "@", "$"}
# for systems where names may begin with #, @ and $, so that these are not tokens of their own
_SIGNS = {sign: kind for sign, kind in Tokenizer.SINGLE_TOKENS.items() if sign not in _NAME_SIGNS}


def _without_keywords(base: type[Tokenizer], **changes: Any) -> type[Tokenizer]:
    keywords = {text: Tokenizer.KEYWORDS[text] for text in _OPERATORS}
    return cast(type[Tokenizer], type("WithoutKeywords", (base,), {"KEYWORDS": keywords, **changes}))


class Db2i(Dialect):
    """DB2 for i, registered as sqlglot dialect ``db2i``: names with ``#``, ``@`` and ``$``, nested comments."""

    class Tokenizer(tokens.Tokenizer):
        SINGLE_TOKENS = _SIGNS
        VAR_SINGLE_TOKENS = _NAME_SIGNS


# where sqlglot's tokenizers differ from the systems
_CORRECTIONS: dict[str, dict[str, Any]] = {
    "clickhouse": {"COMMENTS": ["--", "//", "#", "#!", ("/*", "*/")]},
    "tsql": {"SINGLE_TOKENS": _SIGNS, "QUOTES": ["'"]},
}


@cache
def _dialect(sqlglot: str) -> tuple[type[Tokenizer], Dialect]:
    """Return tokenizer class and dialect by name; sqlglot imports only the requested dialect."""
    dialect = Dialect.get_or_raise(sqlglot)
    if not sqlglot:
        # systems known only to their JDBC driver are read like DB2 for i; some also quote names with backticks
        return _without_keywords(Db2i.Tokenizer, IDENTIFIERS=['"', "`"]), dialect
    return _without_keywords(dialect.tokenizer_class, **_CORRECTIONS.get(sqlglot, {})), dialect


def tokenizer(sqlglot: str) -> Tokenizer:
    """Return a new tokenizer for a sqlglot dialect; tokenizers are stateful."""
    tokenizer_class, dialect = _dialect(sqlglot)
    return tokenizer_class(dialect=dialect)


def line_comments(sqlglot: str) -> tuple[str, ...]:
    """Return the markers that begin a comment until the end of the line."""
    return tuple(mark for mark, end in _dialect(sqlglot)[0]._COMMENTS.items() if end is None)


def has_nested_comments(sqlglot: str) -> bool | None:
    """Return whether comments nest; None if that is unknown, for a system known only to its JDBC driver."""
    return _dialect(sqlglot)[0].NESTED_COMMENTS if sqlglot else None

"""How each system's query text is read: sqlglot's tokenizers without their keywords, corrected, and one for DB2 for i.

Keywords are told apart later, by where they stand: a tokenizer that knows them swallows text after some, and joins
two words only when one blank is between them.
"""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from sqlglot import tokens
from sqlglot.dialects.dialect import Dialect
from sqlglot.tokens import Tokenizer

_OPERATORS = ("::", ":=", "||", "->", "->>", "<=", ">=", "<>", "!=")
_NAME_SIGNS = {"#", "@", "$"}
# where no operator has one of them, names begin with these, too
_SIGNS = {sign: kind for sign, kind in Tokenizer.SINGLE_TOKENS.items() if sign not in _NAME_SIGNS}


def _reading(base: type[Tokenizer], **changes: Any) -> type[Tokenizer]:
    keywords = {text: Tokenizer.KEYWORDS[text] for text in _OPERATORS}
    return cast(type[Tokenizer], type("Reading", (base,), {"KEYWORDS": keywords, **changes}))


class Db2i(Dialect):
    """DB2 for i, known to sqlglot as ``db2i``: names with ``#``, ``@`` and ``$``, nested comments."""

    class Tokenizer(tokens.Tokenizer):
        SINGLE_TOKENS = _SIGNS
        VAR_SINGLE_TOKENS = _NAME_SIGNS


# what sqlglot has otherwise
_CORRECTIONS: dict[str, dict[str, Any]] = {
    "clickhouse": {"COMMENTS": ["--", "//", "#", "#!", ("/*", "*/")]},
    "tsql": {"SINGLE_TOKENS": _SIGNS, "QUOTES": ["'"]},
}


@cache
def _known(sqlglot: str) -> tuple[type[Tokenizer], Dialect]:
    """The tokenizer and the dialect of a name; sqlglot imports only the dialect that is asked for."""
    dialect = Dialect.get_or_raise(sqlglot)
    if not sqlglot:
        # so do the systems that only their JDBC driver knows, some of which quote names with backticks
        return _reading(Db2i.Tokenizer, IDENTIFIERS=['"', "`"]), dialect
    return _reading(dialect.tokenizer_class, **_CORRECTIONS.get(sqlglot, {})), dialect


def tokenizer(sqlglot: str) -> Tokenizer:
    """Return a new tokenizer (they keep state) for the name of a sqlglot dialect."""
    kind, dialect = _known(sqlglot)
    return kind(dialect=dialect)


def line_comments(sqlglot: str) -> tuple[str, ...]:
    """Return what begins a comment that ends with its line."""
    return tuple(mark for mark, end in _known(sqlglot)[0]._COMMENTS.items() if end is None)


def has_nested_comments(sqlglot: str) -> bool | None:
    """Whether ``/* /* */`` is open still; None for a system that only its JDBC driver knows."""
    return _known(sqlglot)[0].NESTED_COMMENTS if sqlglot else None

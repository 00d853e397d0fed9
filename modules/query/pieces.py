"""Splits the text of a query into pieces: words, quoted names, strings, numbers and signs.

Text that all systems read alike is split here. All other text, with comments, escapes or special characters, is split
by sqlglot, whose import takes as long as Django's; for plain text both give the same pieces.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import NamedTuple

from connections.sdk.errors import QueryInvalid
from connections.sdk.sql.dialect import Dialect


class TokenKind(Enum):
    """The kinds of tokens; QUOTED is a quoted name, SIGN an operator, bracket or punctuation."""

    WORD = auto()
    QUOTED = auto()
    STRING = auto()
    NUMBER = auto()
    SIGN = auto()


class Piece(NamedTuple):
    """A piece of the query at ``start:stop``; ``name`` is its text without quotes."""

    kind: TokenKind
    name: str
    start: int
    stop: int


# one piece, with the blanks before it; what follows must not change its meaning
_PLAIN = re.compile(
    r"""[ \t\n\r]*(?:
        (?P<WORD>[A-Za-z_][A-Za-z0-9_]*)(?=[ \t\n\r(),.;=<>!+*/|-]|\Z)
        |(?P<NUMBER>[0-9]+(?:\.[0-9]+)?)(?=[ \t\n\r(),;=<>!+*/|-]|\Z)
        |'(?P<STRING>[^'\\]*)'(?=[ \t\n\r(),;=<>!+*/|-]|\Z)
        |"(?P<QUOTED>[^"\\]+)"(?=[ \t\n\r(),.;=<>!+*/|-]|\Z)
        |(?P<SIGN>\|\||<=|>=|<>|!=|[(),;=<>+*]|\.(?![0-9])|-(?![->])|/(?![*/]))
        |(?P<END>\Z)
    )""",
    re.VERBOSE,
)
_KINDS = {kind.name: kind for kind in TokenKind}


def split(query: str, dialect: Dialect) -> list[Piece]:
    """Return the query's pieces. Raise QueryInvalid for an unclosed quote or comment."""
    pieces = split_plain(query, dialect)
    return split_by_sqlglot(query, dialect) if pieces is None else pieces


def split_plain(query: str, dialect: Dialect) -> list[Piece] | None:
    """Return the query's pieces, or None if systems may read some of its text differently."""
    if '"' in query and dialect.quotes[0] != '"':
        return None
    pieces: list[Piece] = []
    position = 0
    while match := _PLAIN.match(query, position):
        name = str(match.lastgroup)
        if name == "END":
            return pieces
        pieces.append(Piece(_KINDS[name], match[name], match.start(name) - (name in ("STRING", "QUOTED")), match.end()))
        position = match.end()
    return None


def split_by_sqlglot(query: str, dialect: Dialect) -> list[Piece]:
    """Return the query's pieces as the tokenizer of the dialect's grammar gives them. Raise QueryInvalid."""
    # imported late: most queries do not need it
    from sqlglot.errors import TokenError

    from modules.query.tokenizers import tokenizer

    try:
        tokens = tokenizer(dialect.grammar).tokenize(query)
    except TokenError as error:
        raise QueryInvalid(
            "The query's text cannot be read: a quote, comment or name in it is not closed.",
            hint="Close every quote and comment; double a quote inside a string.",
            detail=str(error),
        ) from error
    return [
        Piece(_kind(token.token_type.name, query[token.start : token.end + 1]), token.text, token.start, token.end + 1)
        for token in tokens
    ]


def _kind(token_type: str, text: str) -> TokenKind:
    if token_type == "NUMBER" or text[0].isdigit():
        return TokenKind.WORD if token_type == "VAR" else TokenKind.NUMBER
    if token_type == "IDENTIFIER":
        return TokenKind.QUOTED
    if token_type == "VAR":
        return TokenKind.WORD
    return TokenKind.STRING if text[-1] in "'\"$" and len(text) > 1 else TokenKind.SIGN

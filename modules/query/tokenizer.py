"""A query's text as tokens with their exact places, comments left out. Reads, never changes.

What lies between two tokens is checked to be blank or a comment; text that cannot be read with certainty is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token as SqlglotToken
from sqlglot.tokenizer_core import TokenType

from connections.sdk.errors import QueryInvalid
from connections.sdk.sql.dialect import Dialect
from modules.query.dialects import has_nested_comments, line_comments, tokenizer
from modules.query.words import SELECT_MODIFIERS, words

_PAIRS = {"(": ")", "[": "]", "{": "}"}
# MySQL runs what stands in such a comment
_LIVE_COMMENT = re.compile(r"/\*M?!\d*(.*?)\*/", re.DOTALL)
_ESCAPED_QUOTE = re.compile(r"(?<!\\)(\\\\)*\\[\"'`]")
# they look like blanks, or like nothing at all
_INVISIBLE = "\ufeff\u200b\u2060\u00ad"
_BLANKS = " \t\n\r\f\v"
# for these every blank of Unicode is one
_ALL_BLANKS = frozenset({"clickhouse", "duckdb", "tsql"})


class Kind(Enum):
    WORD = auto()
    QUOTED = auto()
    STRING = auto()
    NUMBER = auto()
    SIGN = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token: ``text`` as written at ``start:stop``, ``name`` without quotes, ``depth`` in brackets of any kind."""

    kind: Kind
    text: str
    name: str
    start: int
    stop: int
    depth: int

    @property
    def word(self) -> str:
        """The unquoted word in upper case; empty for anything else."""
        return self.text.upper() if self.kind is Kind.WORD else ""

    @property
    def is_name(self) -> bool:
        return self.kind in (Kind.WORD, Kind.QUOTED)


def read(query: str, dialect: Dialect) -> tuple[Token, ...]:
    """Return the query's tokens. Raises QueryInvalid for an open quote, comment or bracket."""
    try:
        found = tokenizer(dialect.sqlglot).tokenize(query)
    except TokenError as error:
        raise QueryInvalid(
            "The query's text cannot be read: a quote, comment or name in it does not end.",
            hint="Close every quote and comment; a quote inside a text is doubled.",
            detail=str(error),
        ) from error
    _check_gaps(query, found, dialect)
    result = _with_depth(query, found)
    _check_signs(result, dialect)
    return result


def _with_depth(query: str, found: Sequence[SqlglotToken]) -> tuple[Token, ...]:
    result: list[Token] = []
    closing: list[str] = []
    for raw in found:
        text = query[raw.start : raw.end + 1]
        kind = _kind(raw.token_type, text)
        if kind is Kind.SIGN and text in _PAIRS.values() and (not closing or closing.pop() != text):
            raise QueryInvalid(f"The query closes a “{text}” that was not opened.", hint="Check its brackets.")
        result.append(Token(kind=kind, text=text, name=raw.text, start=raw.start, stop=raw.end + 1, depth=len(closing)))
        if kind is Kind.SIGN and text in _PAIRS:
            closing.append(_PAIRS[text])
    if closing:
        raise QueryInvalid(f"The query's text ends before a “{closing[-1]}”.", hint="Check its brackets.")
    return tuple(result)


def _kind(token_type: TokenType, text: str) -> Kind:
    if token_type is TokenType.NUMBER or text[0].isdigit():
        return Kind.WORD if token_type is TokenType.VAR else Kind.NUMBER
    if token_type is TokenType.IDENTIFIER:
        return Kind.QUOTED
    if token_type is TokenType.VAR:
        return Kind.WORD
    return Kind.STRING if text[-1] in "'\"$" and len(text) > 1 else Kind.SIGN


def _check_gaps(query: str, found: Sequence[SqlglotToken], dialect: Dialect) -> None:
    position, before = 0, ""
    for start, stop in [*((t.start, t.end + 1) for t in found), (len(query), len(query))]:
        gap = query[position:start]
        if start < position or not _is_blank(gap, dialect):
            shown = gap.strip()[:40]
            raise QueryInvalid(
                f"The query's text cannot be read with certainty near “{shown}”.",
                hint="Write comments as -- to the end of a line, or as closed /* */ without another /* inside.",
            )
        if dialect.sqlglot == "mysql":
            _check_live_comments(gap, before)
        position, before = stop, query[start:stop].upper()


def _is_blank(gap: str, dialect: Dialect) -> bool:
    """Whether there is nothing in it but white space and whole comments."""
    nested = has_nested_comments(dialect.sqlglot)
    while gap := _stripped(gap, dialect):
        if gap.startswith(line_comments(dialect.sqlglot)):
            line, _, gap = gap.partition("\n")
            # systems differ in whether a lone carriage return ends a line
            if "\r" in line.rstrip("\r"):
                return False
        elif gap.startswith("/*"):
            length = _comment_length(gap, nested=nested)
            if not length:
                return False
            gap = gap[length:]
        else:
            return False
    return True


def _stripped(gap: str, dialect: Dialect) -> str:
    """Return the gap without the white space before it; one that the system does not take for white is refused."""
    rest = gap.lstrip() if dialect.sqlglot in _ALL_BLANKS else gap.lstrip(_BLANKS)
    if rest[:1].isspace():
        raise _unseen(rest[0])
    return rest


def _unseen(char: str) -> QueryInvalid:
    return QueryInvalid(
        f"The query holds the character U+{ord(char):04X}, which looks like a blank or like nothing and is neither.",
        hint="It comes from copying formatted text; replace it by a blank, or put the name that has it into quotes.",
    )


def _comment_length(text: str, *, nested: bool | None) -> int:
    """Return how long the comment at the beginning is; 0 when that is not certain."""
    depth = 0
    if not nested:
        length = text.find("*/", 2) + 2 if "*/" in text[2:] else 0
        return 0 if nested is None and "/*" in text[2:length] else length
    for mark in re.finditer(r"/\*|\*/", text):
        depth += 1 if mark.group() == "/*" else -1
        if not depth:
            return mark.end()
    return 0


def _check_live_comments(gap: str, before: str) -> None:
    """Refuse SQL in a comment, all but the words that may follow SELECT and change nothing."""
    for comment in _LIVE_COMMENT.finditer(gap):
        inside = words(comment.group(1).upper())
        if inside and (before not in SELECT_MODIFIERS | {"SELECT"} or inside - SELECT_MODIFIERS):
            raise QueryInvalid(
                f"The query holds SQL inside a comment: {comment.group()[:60]}",
                hint="MySQL runs /*! */ comments; write that part as plain SQL.",
            )


def _check_signs(tokens: Sequence[Token], dialect: Dialect) -> None:
    """Refuse invisible characters in words, and what systems that only their JDBC driver knows read differently."""
    for token, following in zip(tokens, [*tokens[1:], None], strict=False):
        if token.kind is Kind.WORD and (unseen := next((char for char in token.text if char in _INVISIBLE), "")):
            raise _unseen(unseen)
        if dialect.sqlglot:
            continue
        if token.kind in (Kind.STRING, Kind.QUOTED) and _ESCAPED_QUOTE.search(token.text):
            raise QueryInvalid(
                f"Whether a backslash escapes a quote is not known of this system: {token.text[:40]}",
                hint="Write the text without a backslash before a quote, for example by a function for the character.",
            )
        adjacent = following if following and following.start == token.stop else None
        sign = "//" if token.text == "/" and adjacent and adjacent.text == "/" else token.text
        if sign in ("//", "#") or (token.kind is Kind.WORD and "$$" in sign):
            raise QueryInvalid(
                f"The query's text cannot be read with certainty near “{sign}”, a comment or a quote in some systems.",
                hint="Write comments as -- to the end of a line, and texts in single quotes.",
            )


def written(tokens: Sequence[Token]) -> str:
    """Return the tokens as one line for a message: no comments, one blank where there was any."""
    parts = [
        (" " if before and before.stop < token.start else "") + token.text
        for before, token in zip([None, *tokens], tokens, strict=False)
    ]
    return "".join(parts)

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

from connections.sdk.dialect import Dialect
from connections.sdk.errors import QueryInvalid
from modules.sql_dialects import has_hash_comments, has_nested_comments, tokenizer

_PAIRS = {"(": ")", "[": "]", "{": "}"}
# MySQL runs what stands in such a comment
_LIVE_COMMENT = re.compile(r"/\*M?!\d*(.*?)\*/", re.DOTALL)
_LIVE_WORDS = re.compile(
    r"[,;()]|\b(select|from|where|group|having|order|limit|offset|union|except|intersect|into|as|and|or|distinct|for)\b",
    re.IGNORECASE,
)


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
    return _with_depth(query, found)


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
    position = 0
    for start, stop in [*((t.start, t.end + 1) for t in found), (len(query), len(query))]:
        gap = query[position:start]
        if start < position or not _is_blank(gap, dialect):
            shown = gap.strip()[:40]
            raise QueryInvalid(
                f"The query's text cannot be read with certainty near “{shown}”.",
                hint="Write comments as -- to the end of a line, or as closed /* */ without another /* inside.",
            )
        if dialect.sqlglot == "mysql":
            _check_live_comments(gap)
        position = stop


def _is_blank(gap: str, dialect: Dialect) -> bool:
    """Whether there is nothing in it but white space and whole comments."""
    hashes, nested = has_hash_comments(dialect.sqlglot), has_nested_comments(dialect.sqlglot)
    while gap := gap.lstrip():
        if gap.startswith("--") or (hashes and gap.startswith("#")):
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


def _comment_length(text: str, *, nested: bool) -> int:
    depth = 0
    for mark in re.finditer(r"/\*|\*/", text) if nested else ():
        depth += 1 if mark.group() == "/*" else -1
        if not depth:
            return mark.end()
    return 0 if nested else text.find("*/", 2) + 2 if "*/" in text[2:] else 0


def _check_live_comments(gap: str) -> None:
    for comment in _LIVE_COMMENT.finditer(gap):
        if _LIVE_WORDS.search(comment.group(1)):
            raise QueryInvalid(
                f"The query holds SQL inside a comment: {comment.group()[:60]}",
                hint="MySQL runs /*! */ comments; write that part as plain SQL.",
            )


def written(tokens: Sequence[Token]) -> str:
    """Return the tokens as one line for a message: no comments, one blank where there was any."""
    parts = [
        (" " if before and before.stop < token.start else "") + token.text
        for before, token in zip([None, *tokens], tokens, strict=False)
    ]
    return "".join(parts)

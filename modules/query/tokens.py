"""Splits the text of a query into tokens with their positions, without comments.

The text between two tokens is checked to be white space or comments; text that cannot be read with certainty is
rejected.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from connections.sdk.errors import QueryInvalid
from connections.sdk.records import dataclass
from connections.sdk.sql.dialect import Dialect
from modules.query.pieces import Piece, TokenKind, split
from modules.query.words import words

_PAIRS = {"(": ")", "[": "]", "{": "}"}
# MySQL executes the content of such a comment
_EXECUTABLE_COMMENT = re.compile(r"/\*M?!\d*(.*?)\*/", re.DOTALL)
_ESCAPED_QUOTE = re.compile(r"(?<!\\)(\\\\)*\\[\"'`]")
# characters that look like blanks or are invisible
_INVISIBLE = "\ufeff\u200b\u2060\u00ad"
_BLANKS = " \t\n\r\f\v"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token: ``text`` at ``start:stop``, ``name`` without quotes, ``depth`` of brackets of any kind."""

    kind: TokenKind
    text: str
    name: str
    start: int
    stop: int
    depth: int

    @property
    def word(self) -> str:
        """The unquoted word in upper case; empty for other tokens."""
        return self.text.upper() if self.kind is TokenKind.WORD else ""

    @property
    def is_name(self) -> bool:
        return self.kind in (TokenKind.WORD, TokenKind.QUOTED)


def read(query: str, dialect: Dialect) -> tuple[Token, ...]:
    """Return the query's tokens. Raise QueryInvalid for an unclosed quote, comment or bracket."""
    pieces = split(query, dialect)
    _check_gaps(query, pieces, dialect)
    result = _with_depth(query, pieces)
    _check_signs(result, dialect)
    return result


def _with_depth(query: str, pieces: Sequence[Piece]) -> tuple[Token, ...]:
    result: list[Token] = []
    closing: list[str] = []
    for kind, name, start, stop in pieces:
        text = query[start:stop]
        if kind is TokenKind.SIGN and text in _PAIRS.values() and (not closing or closing.pop() != text):
            raise QueryInvalid(f"The query closes a “{text}” that is not open.", hint="Check its brackets.")
        result.append(Token(kind=kind, text=text, name=name, start=start, stop=stop, depth=len(closing)))
        if kind is TokenKind.SIGN and text in _PAIRS:
            closing.append(_PAIRS[text])
    if closing:
        raise QueryInvalid(f"The query's text ends before a “{closing[-1]}”.", hint="Check its brackets.")
    return tuple(result)


def _check_gaps(query: str, pieces: Sequence[Piece], dialect: Dialect) -> None:
    position, before = 0, ""
    for start, stop in [*((piece.start, piece.stop) for piece in pieces), (len(query), len(query))]:
        gap = query[position:start]
        if start < position or not _is_blank(gap, dialect):
            shown = gap.strip()[:40]
            raise QueryInvalid(
                f"The query's text cannot be read with certainty near “{shown}”.",
                hint="Write comments as -- to the end of a line, or as closed /* */ without another /* inside.",
            )
        if dialect.grammar.executable_comments:
            _check_executable_comments(gap, before, dialect.grammar.select_modifiers)
        position, before = stop, query[start:stop].upper()


def _is_blank(gap: str, dialect: Dialect) -> bool:
    """Return whether the text consists only of white space and complete comments."""
    while gap := _stripped(gap, dialect):
        # imported late: only text with comments needs sqlglot
        from modules.query.tokenizers import has_nested_comments, line_comments

        if gap.startswith(line_comments(dialect.grammar)):
            line, _, gap = gap.partition("\n")
            # systems differ in whether a lone carriage return ends a line
            if "\r" in line.rstrip("\r"):
                return False
        elif gap.startswith("/*"):
            length = _comment_length(gap, nested=has_nested_comments(dialect.grammar))
            if not length:
                return False
            gap = gap[length:]
        else:
            return False
    return True


def _stripped(gap: str, dialect: Dialect) -> str:
    """Return the gap without leading white space. Raise QueryInvalid for white space unknown to the system."""
    rest = gap.lstrip() if dialect.grammar.unicode_blanks else gap.lstrip(_BLANKS)
    if rest[:1].isspace():
        raise _invisible_character(rest[0])
    return rest


def _invisible_character(char: str) -> QueryInvalid:
    return QueryInvalid(
        f"The query contains the character U+{ord(char):04X}, which looks like a blank or is invisible.",
        hint="It usually comes from copied text; replace it with a blank, or quote the name that contains it.",
    )


def _comment_length(text: str, *, nested: bool | None) -> int:
    """Return the length of the comment at the beginning of the text; 0 if it is not certain."""
    depth = 0
    if not nested:
        length = text.find("*/", 2) + 2 if "*/" in text[2:] else 0
        return 0 if nested is None and "/*" in text[2:length] else length
    for mark in re.finditer(r"/\*|\*/", text):
        depth += 1 if mark.group() == "/*" else -1
        if not depth:
            return mark.end()
    return 0


def _check_executable_comments(gap: str, before: str, modifiers: frozenset[str]) -> None:
    """Raise QueryInvalid for SQL in an executable comment, except for harmless modifiers after SELECT."""
    for comment in _EXECUTABLE_COMMENT.finditer(gap):
        inside = words(comment.group(1).upper())
        if inside and (before not in modifiers | {"SELECT"} or inside - modifiers):
            raise QueryInvalid(
                f"The query contains SQL inside a comment: {comment.group()[:60]}",
                hint="MySQL executes /*! */ comments; write that part as plain SQL.",
            )


def _check_signs(tokens: Sequence[Token], dialect: Dialect) -> None:
    """Raise QueryInvalid for invisible characters in words, and for text that unknown systems may read differently."""
    for token, following in zip(tokens, [*tokens[1:], None], strict=False):
        if token.kind is TokenKind.WORD and (
            invisible := next((char for char in token.text if char in _INVISIBLE), "")
        ):
            raise _invisible_character(invisible)
        if dialect.grammar.is_known:
            continue
        if token.kind in (TokenKind.STRING, TokenKind.QUOTED) and _ESCAPED_QUOTE.search(token.text):
            raise QueryInvalid(
                f"It is not known whether a backslash escapes a quote in this system: {token.text[:40]}",
                hint="Write the text without a backslash before a quote, for example by a function for the character.",
            )
        adjacent = following if following and following.start == token.stop else None
        sign = "//" if token.text == "/" and adjacent and adjacent.text == "/" else token.text
        if sign in ("//", "#") or (token.kind is TokenKind.WORD and "$$" in sign):
            raise QueryInvalid(
                f"The query's text cannot be read with certainty near “{sign}”, a comment or a quote in some systems.",
                hint="Write comments as -- to the end of a line, and texts in single quotes.",
            )


def source_text(tokens: Sequence[Token]) -> str:
    """Return the tokens as one line of text for a message: without comments, white space reduced to one blank."""
    parts = [
        (" " if before and before.stop < token.start else "") + token.text
        for before, token in zip([None, *tokens], tokens, strict=False)
    ]
    return "".join(parts)

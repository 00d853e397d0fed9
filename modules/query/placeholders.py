"""Named watermarks in a query's text: ``{since}``, in plain SQL or inside a '...' literal.

Comments, quoted names and dollar-quoted texts hold none. Values go in as literals and are never looked at again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from connections.sdk.errors import DataError, TokenUnknown
from connections.sdk.sql.dialect import Dialect
from modules.query.tokenizer import Kind, Token, read

_NAME = re.compile(r"(?<!\{)\{([A-Za-z_][A-Za-z0-9_]*)\}(?!\})")
# longer texts are not repeated in a message
_SHOWN = 60
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class _Place:
    """One ``{name}`` at ``start:stop``; ``literal`` is the text that it stands in, None in plain SQL."""

    name: str
    start: int
    stop: int
    literal: Token | None


def find_tokens(query: str, dialect: Dialect) -> tuple[str, ...]:
    """Return the names of the query's tokens, each once, in order."""
    return tuple(dict.fromkeys(place.name for place in _places(query, dialect)))


def check_tokens(query: str, dialect: Dialect, watermark_names: Iterable[str]) -> None:
    """Raise TokenUnknown for a token without a watermark."""
    watermarks = tuple(watermark_names)
    if missing := [place for place in _places(query, dialect) if place.name not in watermarks]:
        first = missing[0]
        raise TokenUnknown(
            f"The query has {_braced(dict.fromkeys(place.name for place in missing))}, and no watermark is called so.",
            hint=f"Add a watermark named {first.name}, or correct the token; there is {_braced(watermarks) or 'none'}. "
            f"{_no_token(first, dialect)}",
        )


def unused(query: str, dialect: Dialect, watermark_names: Iterable[str]) -> tuple[str, ...]:
    """Return the watermarks whose token stands nowhere in the query: harmless, and probably not meant."""
    tokens = find_tokens(query, dialect)
    return tuple(name for name in watermark_names if name not in tokens)


def replace_tokens(query: str, dialect: Dialect, values: Mapping[str, str]) -> str:
    """Return the query with every token's value in its place. Raises TokenUnknown for one without a value."""
    result, position = [], 0
    for place in _places(query, dialect):
        if place.name not in values:
            raise TokenUnknown(
                f"The token {{{place.name}}} of the query has no value.",
                hint=f"Add a watermark named {place.name}, or correct the token.",
            )
        result += [query[position : place.start], _value(query, place, values[place.name], dialect)]
        position = place.stop
    return "".join([*result, query[position:]])


def _no_token(place: _Place, dialect: Dialect) -> str:
    """Say how to write braces that are no token, without another meaning."""
    if place.literal is None:
        return f"Braces that are no token need a blank in them: {{ {place.name} }}."
    text = place.literal.text
    opening, cut = text[: text.index(text[-1]) + 1], place.start - place.literal.start + 1
    left, right = text[:cut] + text[-1], opening + text[cut:]
    if len(text) > _SHOWN:
        left, right = f"{opening}{{{text[-1]}", f"{opening}{place.name}}}{text[-1]}"
    said = f"Braces that belong to the text are written in two pieces: {dialect.concatenated(left, right)}."
    if dialect.sqlglot == "postgres":
        said += f" Only in an array may a blank stand in them instead: {{ {place.name} }}."
    return said


def _braced(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)


def _places(query: str, dialect: Dialect) -> Iterator[_Place]:
    tokens = read(query, dialect)
    for position, token in enumerate(tokens):
        if token.kind is Kind.STRING and token.text[-1] in "'\"" and not _is_raw(token):
            for match in _NAME.finditer(token.text):
                yield _Place(match[1], token.start + match.start(), token.start + match.end(), token)
        elif token.text == "{" and position + 2 < len(tokens):
            plain = _NAME.match(query, token.start)
            if plain and plain.end() == tokens[position + 2].stop:
                yield _Place(plain[1], plain.start(), plain.end(), None)


def _is_raw(token: Token) -> bool:
    """Whether it is Oracle's q'[...]', in which nothing can be escaped."""
    return token.text.lower().startswith(("q'", "nq'"))


def _value(query: str, place: _Place, value: str, dialect: Dialect) -> str:
    if "\0" in value:
        raise DataError(
            f"The value of {{{place.name}}} holds a NUL byte.", hint="Correct the watermark's resolver_sql."
        )
    if place.literal is not None:
        return _escaped(value, place.literal, dialect)
    if not _NUMBER.fullmatch(value):
        return dialect.string(value)
    # 5-{x} with -3 must not become a comment
    return f" {value}" if value[0] in "+-" and query[place.start - 1 : place.start] == value[0] else value


def _escaped(value: str, literal: Token, dialect: Dialect) -> str:
    quote = literal.text[-1]
    if dialect.sqlglot == "tsql" and re.search(r"\\\r?\n", value):
        raise DataError(
            "A value with a backslash at a line's end cannot stand inside a text of SQL Server, which drops both.",
            hint="Write the token without quotes around it.",
        )
    if dialect.backslash_escapes or literal.text[0] in "eE":
        value = value.replace("\\", "\\\\")
    return value.replace(quote, quote * 2)

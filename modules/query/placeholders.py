"""Placeholders of named watermarks in a query: ``{since}``, in plain SQL or inside a '...' literal.

There are none in comments, quoted names and dollar-quoted texts. Values are inserted as literals and not scanned for
placeholders again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from connections.sdk.errors import DataError, TokenUnknown
from connections.sdk.records import dataclass
from connections.sdk.sql.dialect import Dialect
from modules.query.pieces import TokenKind
from modules.query.tokens import Token, read

_NAME = re.compile(r"(?<!\{)\{([A-Za-z_][A-Za-z0-9_]*)\}(?!\})")
# longer literals are not repeated in error messages
_SHOWN = 60
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class _Place:
    """One ``{name}`` at ``start:stop``; ``literal`` is the string literal around it, None in plain SQL."""

    name: str
    start: int
    stop: int
    literal: Token | None


def find_placeholders(query: str, dialect: Dialect) -> tuple[str, ...]:
    """Return the names of the query's placeholders, each once, in order."""
    return tuple(dict.fromkeys(place.name for place in _places(query, dialect)))


def check_placeholders(query: str, dialect: Dialect, watermark_names: Iterable[str]) -> None:
    """Raise TokenUnknown if a placeholder has no watermark."""
    watermarks = tuple(watermark_names)
    if missing := [place for place in _places(query, dialect) if place.name not in watermarks]:
        first = missing[0]
        raise TokenUnknown(
            f"The query has {_braced(dict.fromkeys(place.name for place in missing))}, and no watermark has that name.",
            hint=f"Add a watermark named {first.name}, or correct the placeholder; the watermarks are "
            f"{_braced(watermarks) or 'none'}. {_literal_braces_hint(first, dialect)}",
        )


def unused(query: str, dialect: Dialect, watermark_names: Iterable[str]) -> tuple[str, ...]:
    """Return the watermarks without a placeholder in the query: harmless, but probably a mistake."""
    used = find_placeholders(query, dialect)
    return tuple(name for name in watermark_names if name not in used)


def replace_placeholders(query: str, dialect: Dialect, values: Mapping[str, str]) -> str:
    """Return the query with each placeholder replaced by its value. Raise TokenUnknown for one without a value."""
    result, position = [], 0
    for place in _places(query, dialect):
        if place.name not in values:
            raise TokenUnknown(
                f"The placeholder {{{place.name}}} of the query has no value.",
                hint=f"Add a watermark named {place.name}, or correct the placeholder.",
            )
        result += [query[position : place.start], _value(query, place, values[place.name], dialect)]
        position = place.stop
    return "".join([*result, query[position:]])


def _literal_braces_hint(place: _Place, dialect: Dialect) -> str:
    """Return how to write braces that are not a placeholder, without changing their meaning."""
    if place.literal is None:
        return f"Braces that are not a placeholder need a blank inside: {{ {place.name} }}."
    text = place.literal.text
    opening, cut = text[: text.index(text[-1]) + 1], place.start - place.literal.start + 1
    left, right = text[:cut] + text[-1], opening + text[cut:]
    if len(text) > _SHOWN:
        left, right = f"{opening}{{{text[-1]}", f"{opening}{place.name}}}{text[-1]}"
    hint = f"Write braces that belong to the text in two parts: {dialect.concatenated(left, right)}."
    if dialect.grammar.array_literals:
        hint += f" In an array, a blank inside them works, too: {{ {place.name} }}."
    return hint


def _braced(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)


def _places(query: str, dialect: Dialect) -> Iterator[_Place]:
    tokens = read(query, dialect)
    for position, token in enumerate(tokens):
        if token.kind is TokenKind.STRING and token.text[-1] in "'\"" and not _is_raw(token):
            for match in _NAME.finditer(token.text):
                yield _Place(match[1], token.start + match.start(), token.start + match.end(), token)
        elif token.text == "{" and position + 2 < len(tokens):
            plain = _NAME.match(query, token.start)
            if plain and plain.end() == tokens[position + 2].stop:
                yield _Place(plain[1], plain.start(), plain.end(), None)


def _is_raw(token: Token) -> bool:
    """Return whether it is Oracle's q'[...]', in which nothing can be escaped."""
    return token.text.lower().startswith(("q'", "nq'"))


def _value(query: str, place: _Place, value: str, dialect: Dialect) -> str:
    if "\0" in value:
        raise DataError(
            f"The value of {{{place.name}}} contains a NUL byte.", hint="Correct the watermark's resolver_sql."
        )
    if place.literal is not None:
        return _escaped(value, place.literal, dialect)
    if not _NUMBER.fullmatch(value):
        return dialect.string(value)
    # 5-{x} with the value -3 must not become a comment
    return f" {value}" if value[0] in "+-" and query[place.start - 1 : place.start] == value[0] else value


def _escaped(value: str, literal: Token, dialect: Dialect) -> str:
    quote = literal.text[-1]
    if dialect.grammar.backslash_joins_lines and re.search(r"\\\r?\n", value):
        raise DataError(
            "A value with a backslash before a line break cannot be written in a string literal of SQL Server, which"
            " removes both.",
            hint="Write the placeholder without quotes around it.",
        )
    if dialect.backslash_escapes or literal.text[0] in "eE":
        value = value.replace("\\", "\\\\")
    return value.replace(quote, quote * 2)

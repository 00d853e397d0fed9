"""Destination column names: conversion to safe identifiers, validation, and suggestions for unknown names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from connections.sdk.errors import ConfigurationInvalid

MAX_BYTES = 63
_LATIN = {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ŋ": "ng"}
_GREEK = "a b g d e z i th i k l m n x o p r s s t y f ch ps o"
_CYRILLIC = "a b v g d e zh z i y k l m n o p r s t u f kh ts ch sh shch _ y _ e yu ya"
_LETTERS = str.maketrans(
    _LATIN
    | dict(zip("αβγδεζηθικλμνξοπρςστυφχψω", _GREEK.split(), strict=True))
    | dict(zip("абвгдежзийклмнопрстуфхцчшщъыьэюя", _CYRILLIC.replace("_", "").split(" "), strict=True))
    | {"є": "ye", "і": "i", "ї": "yi", "ґ": "g"}
)


def safe_alias(name: str) -> str:
    """Return a lower-case identifier of ``[a-z0-9_]`` for a name: ``DCORD#`` -> dcord, ``2nd`` -> c_2nd.

    Idempotent: applied to its own result, it changes nothing.
    """
    # translated before and after removing accents: й is a letter of its own, ά is not
    plain = _unaccented(unicodedata.normalize("NFC", name).casefold().translate(_LETTERS)).translate(_LETTERS)
    text = "".join(char if char.isascii() or not char.isalnum() else f" u{ord(char):x} " for char in plain)
    text = re.sub(r"[^a-z0-9_]+", " ", text.lower()).strip().replace(" ", "_")
    return text if re.match(r"[a-z_]", text) else f"c_{text}".rstrip("_")


def _unaccented(text: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKD", text).casefold() if not unicodedata.combining(char))


def check_names(names: Iterable[str]) -> None:
    """Raise ConfigurationInvalid for names that are equal ignoring case, empty, or longer than 63 bytes."""
    seen: dict[str, tuple[int, str]] = {}
    for position, name in enumerate(names, start=1):
        if not name:
            raise ConfigurationInvalid(
                f"The name of column {position} of the query is empty.",
                hint=f"Give it an alias in the query, such as AS column_{position}.",
            )
        if len(name.encode()) > MAX_BYTES:
            raise ConfigurationInvalid(
                f"The name of column {position}, “{name}”, has {len(name.encode())} bytes; the maximum is {MAX_BYTES}.",
                hint="Give the column a shorter alias in the query.",
            )
        other_position, other = seen.setdefault(name.casefold(), (position, name))
        if other_position != position:
            raise ConfigurationInvalid(
                f"Columns {other_position} and {position} would be the same column in the destination: “{other}” and"
                f" “{name}”.",
                hint="Give one of them another alias in the query.",
            )


def suggest(name: str, names: Iterable[str] | Mapping[str, str]) -> str | None:
    """Return the destination name that an unknown name probably means; None if there is no single candidate.

    ``names`` may map destination names to source names; then a source name is recognised, too.
    """
    sources = names if isinstance(names, Mapping) else dict.fromkeys(names, "")
    bare = re.split(r"\.(?=[^.]+$)", name.strip())[-1].strip('"`[] ')
    tests = (
        lambda dest, source: source.casefold() == bare.casefold(),
        lambda dest, source: dest.casefold() == bare.casefold(),
        lambda dest, source: dest == safe_alias(bare),
        lambda dest, source: safe_alias(dest) == safe_alias(bare),
    )
    for test in tests:
        matches = [dest for dest, source in sources.items() if test(dest, source)]
        if len(matches) == 1:
            return matches[0] if matches[0] != name else None
    return None

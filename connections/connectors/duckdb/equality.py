"""Native types of DuckDB whose equal values can have different texts; implements `TypeEquality`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from connections.sdk.protocols import Session
from connections.sdk.sql.equality import Equality, TextForms

_ENUM = re.compile(r"enum\((?:\s*'(?:[^']|'')*'\s*,?)+\)", re.IGNORECASE)
# types whose equal values always have the same output; not float and double (0, -0), and not interval
_ONE_SHOWN = re.compile(
    r"(u?(tiny|small|big|huge)int|u?integer|boolean|varchar|decimal\(\d+,\s*\d+\)|date|time|timestamp|uuid|bit"
    r"|time with time zone)(\[\d*\])*",
    re.IGNORECASE,
)


def equality(session: Session, natives: Sequence[str]) -> Mapping[str, Equality]:
    """Return the equality of the types, which is determined by their names."""
    return {name: Equality(text_forms=_text_forms(name), unbounded=name) for name in natives}


def _text_forms(native: str) -> TextForms:
    if _ENUM.fullmatch(native.strip()):
        return TextForms.ONE
    return TextForms.ONE_SHOWN if _ONE_SHOWN.fullmatch(native.strip()) else TextForms.SEVERAL

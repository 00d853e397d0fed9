"""Which types have values that are equal though their texts differ: `1 day` and `24:00:00` are one interval.

A connector may have a file ``equality.py`` with ``equality`` (`TypeEquality`). It is asked for types whose meaning is
NATIVE only; of a connector without that file, and of a type that it does not know, the loosest is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from connections.sdk.protocols import Session


class Spellings(IntEnum):
    """How many texts one value has."""

    # equal values have one text, and no other is accepted: enums
    ONE = 1
    # the system accepts several and always shows the same one: inet, arrays of integers
    ONE_SHOWN = 2
    # equal values are shown as they were written: citext, interval, arrays of numeric
    SEVERAL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Equality:
    """``unbounded`` is the type without length and precision: a text cast to it is neither cut nor rounded."""

    spellings: Spellings
    unbounded: str


class TypeEquality(Protocol):
    def equality(self, session: Session, natives: Sequence[str]) -> Mapping[str, Equality]:
        """Return what is known of the types, by the spelling that was asked for."""
        ...

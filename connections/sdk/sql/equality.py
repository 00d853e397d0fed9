"""Types whose equal values have several text forms: `1 day` and `24:00:00` are the same interval.

A connector may have a module ``equality.py`` that implements `TypeEquality` for types that are specific to its system
(Kind.NATIVE). Without the module, and for a type that it does not know, `TextForms.SEVERAL` is assumed.
"""

from __future__ import annotations

from enum import IntEnum

from connections.sdk.records import dataclass


class TextForms(IntEnum):
    """How many text forms a value of the type has."""

    # one for input and output: enums
    ONE = 1
    # several for input, but one for output: inet, arrays of integers
    ONE_SHOWN = 2
    # several for output, because the form that was written is kept: citext, interval, arrays of numeric
    SEVERAL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Equality:
    """How values of a type are compared.

    ``unbounded`` is the type without length and precision: a cast of text to it neither truncates nor rounds.
    """

    text_forms: TextForms
    unbounded: str

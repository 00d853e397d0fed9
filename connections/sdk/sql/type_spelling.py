"""Reads what most systems' type spellings have in common: words, one pair of brackets, words.

``TIMESTAMP(6) WITH TIME ZONE`` is the name ``timestamp with time zone`` and the arguments ``6``. A connector's
``datatypes.py`` lists its names in a `TypeTable` and treats only its own traps itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from connections.sdk.sql.types import DataType, Kind

_SPELLING = re.compile(r"(?P<before>[^()]+)(\((?P<inside>.*)\))?(?P<after>[^()]*)", re.DOTALL)
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}
# single precision ends where 24 bits of mantissa do
_SINGLE_BITS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """A type's words in lower case, and what stands in its brackets."""

    name: str
    arguments: tuple[str, ...] = ()

    @classmethod
    def read(cls, native: str) -> Spelling | None:
        found = _SPELLING.fullmatch(native.strip())
        if found is None:
            return None
        name = " ".join(f"{found['before']} {found['after']}".lower().split())
        arguments = tuple(part.strip() for part in found["inside"].split(",")) if found["inside"] else ()
        return cls(name=name, arguments=arguments)

    def number(self, position: int) -> int | None:
        """Return a numeric argument (also of ``char(10 byte)`` and ``clob(1M)``), None where there is none."""
        text = self.arguments[position] if position < len(self.arguments) else ""
        found = re.match(r"(-?[0-9]+)\s*([kmg]\b)?", text.lower())
        return int(found[1]) * _UNITS[found[2] or ""] if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeTable:
    """Names to meanings. ``decimals`` gives precision and scale of names without brackets (``money``), ``fixed``
    names blank-padded text, ``bits`` names whose argument counts bits of a floating-point mantissa.
    """

    kinds: Mapping[str, Kind]
    decimals: Mapping[str, tuple[int | None, int | None]] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()
    bits: frozenset[str] = frozenset()

    def meaning(self, spelling: Spelling, native: str) -> DataType:
        """Return the type's meaning, UNKNOWN for a name that is not listed."""
        name = spelling.name
        kind = self.kinds.get(name)
        if kind is None:
            return DataType.unknown(native)
        found = DataType(kind=kind, native=native)
        if kind is Kind.TEXT:
            fixed = name in self.fixed
            return replace(found, length=spelling.number(0) or (1 if fixed else None), fixed=fixed)
        if kind is Kind.DECIMAL:
            return self._decimal(spelling, found)
        if name in self.bits and (spelling.number(0) or _SINGLE_BITS + 1) <= _SINGLE_BITS:
            return replace(found, kind=Kind.REAL)
        return found

    def _decimal(self, spelling: Spelling, found: DataType) -> DataType:
        precision, scale = spelling.number(0), spelling.number(1)
        if precision is None:
            precision, scale = self.decimals.get(spelling.name, (None, None))
        return decimal(precision, scale, native=found.native)


def decimal(precision: int | None, scale: int | None, *, native: str) -> DataType:
    """Return a decimal in which every value fits: a negative scale and one beyond the precision widen it."""
    if precision is None:
        return DataType(kind=Kind.DECIMAL, native=native)
    scale = scale or 0
    width = precision - scale if scale < 0 else max(precision, scale)
    return DataType(kind=Kind.DECIMAL, precision=width, scale=max(scale, 0), native=native)

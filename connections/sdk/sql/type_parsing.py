"""Parser for the syntax that the type names of most systems share: words, optional arguments in brackets, words.

``TIMESTAMP(6) WITH TIME ZONE`` has the name ``timestamp with time zone`` and the arguments ``6``. The ``datatypes.py``
of a connector lists the names of its system in a `TypeTable` and handles only the exceptions itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, replace

from connections.sdk.records import dataclass
from connections.sdk.types import DataType, Kind

_SPELLING = re.compile(r"(?P<before>[^()]+)(\((?P<inside>.*)\))?(?P<after>[^()]*)", re.DOTALL)
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}
# bits of the mantissa of single precision
_SINGLE_BITS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedType:
    """The name of a type in lower case, without its arguments, and the arguments."""

    name: str
    arguments: tuple[str, ...] = ()

    @classmethod
    def read(cls, native: str) -> ParsedType | None:
        """Return the parsed type, None when it has another syntax."""
        match = _SPELLING.fullmatch(native.strip())
        if match is None:
            return None
        name = " ".join(f"{match['before']} {match['after']}".lower().split())
        arguments = tuple(part.strip() for part in match["inside"].split(",")) if match["inside"] else ()
        return cls(name=name, arguments=arguments)

    def number(self, position: int) -> int | None:
        """Return the argument as a number, as in ``char(10 byte)`` and ``clob(1M)``; None where there is none."""
        text = self.arguments[position] if position < len(self.arguments) else ""
        match = re.match(r"(-?[0-9]+)\s*([kmg]\b)?", text.lower())
        return int(match[1]) * _UNITS[match[2] or ""] if match else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeTable:
    """The meanings of type names.

    ``decimals`` has precision and scale of names without arguments (``money``), ``fixed`` the names of blank-padded
    text, ``bits`` the names whose argument is the number of bits of a floating-point mantissa.
    """

    kinds: Mapping[str, Kind]
    decimals: Mapping[str, tuple[int | None, int | None]] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()
    bits: frozenset[str] = frozenset()

    def meaning(self, parsed: ParsedType, native: str) -> DataType:
        """Return the meaning of the type, UNKNOWN when its name is not listed."""
        name = parsed.name
        kind = self.kinds.get(name)
        if kind is None:
            return DataType.unknown(native)
        data_type = DataType(kind=kind, native=native)
        if kind is Kind.TEXT:
            fixed = name in self.fixed
            return replace(data_type, length=parsed.number(0) or (1 if fixed else None), fixed=fixed)
        if kind is Kind.DECIMAL:
            return self._decimal(parsed, native)
        if name in self.bits and (parsed.number(0) or _SINGLE_BITS + 1) <= _SINGLE_BITS:
            return replace(data_type, kind=Kind.REAL)
        return data_type

    def _decimal(self, parsed: ParsedType, native: str) -> DataType:
        precision, scale = parsed.number(0), parsed.number(1)
        if precision is None:
            precision, scale = self.decimals.get(parsed.name, (None, None))
        return decimal(precision, scale, native=native)


def decimal(precision: int | None, scale: int | None, *, native: str) -> DataType:
    """Return a decimal type with 0 <= scale <= precision that holds every value of ``decimal(precision, scale)``."""
    if precision is None:
        return DataType(kind=Kind.DECIMAL, native=native)
    scale = scale or 0
    width = precision - scale if scale < 0 else max(precision, scale)
    return DataType(kind=Kind.DECIMAL, precision=width, scale=max(scale, 0), native=native)

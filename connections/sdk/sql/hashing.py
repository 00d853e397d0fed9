"""Hashes of rows that a system computes itself, so that two tables are compared without moving their rows.

A connector whose system can do it has a file ``hashing.py`` with ``plan`` and ``row_hash``; see PostgreSQL's. Its
hashes are compared only with those of the same kind of system.

A file ``shared_hashing.py`` (`SharedHashing`) has the hash that every system computes alike, from one text of a row:
``(``, an item of each column with commas between, ``)``, then the text of each column that has one. Nothing stands for
NULL. The hash is the upper 63 bits of the text's MD5. Items and texts, by the meaning of the destination's column:

- integer: its digits; decimal(p,s): the digits of the number times 10^s; decimal without a precision, or with one of
  more than 38 digits: plain digits, no zeros at the end of the fraction
- boolean: t or f; date: days since 1970-01-01, 2147483647 and -2147483647 for infinity
- time, timestamp: 16 hexadecimal digits of the microseconds since midnight, since 2000-01-01 (in UTC), the highest and
  the lowest 64-bit integer for infinity; double, real: 16 or 8 digits of the IEEE 754 bits, one NaN
- bytes: their MD5
- text (blanks that pad it cut off), uuid (32 digits): the item is the length in bytes of UTF-8, the text follows

Other meanings have no such form.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from connections.sdk.schema import Column, TableName


@dataclass(frozen=True, slots=True, kw_only=True)
class HashedColumn:
    """One column of one side: ``expression`` is the bare column, ``term`` what is hashed of it.

    ``text`` is what a shared hash has behind all terms.
    """

    expression: str
    term: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowHashing:
    """The columns of both sides, in the order of the module's. Columns are qualified with ``q``; those of the source
    are named ``c0``, ``c1``, ... by position."""

    source: tuple[HashedColumn, ...]
    destination: tuple[HashedColumn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotHashed:
    """Why the two systems cannot hash rows alike."""

    why: str


class Hashing(Protocol):
    """A connector's ``hashing`` module."""

    def plan(
        self, source: Any, query: str, *, destination: Any, table: TableName, columns: Sequence[Column]
    ) -> RowHashing | NotHashed: ...

    def row_hash(self, columns: Sequence[HashedColumn]) -> str: ...


class SharedHashing(Protocol):
    """A connector's ``shared_hashing`` module. Columns are qualified with ``q``, as in `RowHashing`.

    Only columns pass all of whose values the reader would deliver as the destination's type, unchanged. Without
    ``signed_zero`` -0.0 is hashed as 0.0.
    """

    def source(
        self, session: Any, query: str, columns: Mapping[int, Column], *, signed_zero: bool
    ) -> tuple[HashedColumn, ...] | NotHashed:
        """Return the columns at these positions of the query."""
        ...

    def destination(
        self, session: Any, table: TableName, columns: Collection[Column]
    ) -> tuple[HashedColumn, ...] | NotHashed: ...

    def row_hash(self, columns: Sequence[HashedColumn]) -> str:
        """Return an expression of a 64-bit integer."""
        ...

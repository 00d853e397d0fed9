"""Row hashes that a system computes in SQL, to compare two tables without transferring their rows.

A connector may have a module ``hashing.py`` (`Hashing`). Its hashes are compared only with those of the same kind of
system; see PostgreSQL's for an example.

A connector may have a module ``shared_hashing.py`` (`SharedHashing`), whose hash is the same in all systems: the upper
63 bits of the MD5 of a text of the row. The text is ``(``, one item per column separated by commas, ``)``, and then
the text of each column that has one. The item of a NULL is empty. Items and texts by the kind of the destination
column:

- integer: its digits; decimal(p,s): the digits of the number times 10^s; decimal without precision, or with more than
  38 digits: plain digits without trailing zeros in the fraction
- boolean: t or f; date: days since 1970-01-01, 2147483647 and -2147483647 for infinity
- time, timestamp: 16 hexadecimal digits of the microseconds since midnight, since 2000-01-01 (in UTC), the highest and
  the lowest 64-bit integer for infinity; double, real: 16 or 8 digits of the IEEE 754 bits, with a single NaN
- bytes: their MD5
- text (without padding blanks), uuid (32 digits): the item is the length in UTF-8 bytes, and the text is the value

Columns of other kinds cannot be hashed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from connections.sdk.records import dataclass
from connections.sdk.schema import Column, TableName


@dataclass(frozen=True, slots=True, kw_only=True)
class HashedColumn:
    """One column of one side: ``expression`` is the column itself, ``term`` the SQL of its item.

    ``text`` is the SQL of its text, which a shared hash appends after all items.
    """

    expression: str
    term: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowHashing:
    """The columns of both sides, in the order of the module's columns.

    Columns are qualified with ``q``; those of the source are named ``c0``, ``c1``, ... by position.
    """

    source: tuple[HashedColumn, ...]
    destination: tuple[HashedColumn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotHashed:
    """The reason why the two systems cannot compute the same row hashes."""

    why: str


class Hashing(Protocol):
    """A connector's ``hashing`` module."""

    def plan(
        self, source: Any, query: str, *, destination: Any, table: TableName, columns: Sequence[Column]
    ) -> RowHashing | NotHashed:
        """Return the hashed columns of the query and the table, or why they cannot be hashed alike."""
        ...

    def row_hash(self, columns: Sequence[HashedColumn]) -> str:
        """Return an expression for the hash of a row, of a 64-bit integer type."""
        ...


class SharedHashing(Protocol):
    """A connector's ``shared_hashing`` module. Columns are qualified with ``q``, as in `RowHashing`.

    A column is accepted only if the reader would deliver every value of it unchanged as the destination's type.
    Without ``signed_zero`` -0.0 is hashed as 0.0.
    """

    def source(
        self, session: Any, query: str, columns: Mapping[int, Column], *, signed_zero: bool
    ) -> tuple[HashedColumn, ...] | NotHashed:
        """Return the hashed columns of the query; ``columns`` are the module's by position in the query."""
        ...

    def destination(
        self, session: Any, table: TableName, columns: Collection[Column]
    ) -> tuple[HashedColumn, ...] | NotHashed:
        """Return the hashed columns of the destination table."""
        ...

    def row_hash(self, columns: Sequence[HashedColumn]) -> str:
        """Return an expression for the hash of a row, of a 64-bit integer type."""
        ...

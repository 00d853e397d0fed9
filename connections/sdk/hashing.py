"""Hashes of rows that a system computes itself, so that two tables are compared without moving their rows.

A connector whose system can do it has a file ``hashing.py`` with ``plan`` and ``row_hash``; see PostgreSQL's. Its
hashes are compared only with those of the same kind of system.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from connections.sdk.schema import Column, TableName


@dataclass(frozen=True, slots=True, kw_only=True)
class HashedColumn:
    """One column of one side: ``expression`` is the bare column, ``term`` what is hashed of it."""

    expression: str
    term: str


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

    def row_hash(self, terms: Sequence[str]) -> str: ...

"""Asks the server what it would make of a text, for types that cut or round by a length, a precision or a member.

``numeric(9,2)[]`` rounds what ``numeric[]`` holds; a composite, or an array of a domain, does so by its
members' types.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import pyarrow as pa

from connections.connectors.postgresql import driver
from connections.connectors.postgresql.copy.native_texts import element
from connections.sdk.arrow.invalid_values import misfit
from connections.sdk.errors import PipekitError
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import Column
from connections.sdk.sql.types import Kind

_MEMBERED = """
SELECT x.name FROM unnest(%s::text[]) AS x(name) JOIN pg_type t ON t.oid = to_regtype(x.name)
LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A' WHERE coalesce(e.typtype, t.typtype) IN ('c', 'd')
"""
_NAMES = frozenset({"name", '"char"'})
# the server itself refuses bits of another length
_STRICT = frozenset({"bit", "bit varying"})
# the bare word would mean a length of one
_UNBOUNDED = {"character": "bpchar"}


class Questions:
    """The columns of one table that need asking; a session is opened when the first value comes."""

    def __init__(self, parameters: ConnectionParameters, columns: Sequence[Column]) -> None:
        self.parameters = parameters
        self._candidates = [
            (position, column)
            for position, column in enumerate(columns)
            if column.data_type.kind is Kind.NATIVE or element(column.dest_type) in _NAMES
        ]
        self._session: driver.PostgresqlSession | None = None
        self._conditions: dict[int, str] | None = None

    def check(self, batch: pa.RecordBatch) -> None:
        """Raise ValueMisfit for the first text that would come out as another value."""
        if not self._candidates:
            return
        if self._session is None:
            self._session = driver.connect(self.parameters)
            self._conditions = self._found(self._session)
        for position, column in self._candidates:
            condition = (self._conditions or {}).get(position)
            if condition:
                self._ask(self._session, batch.column(position), column, condition)

    def close(self) -> None:
        if self._session:
            self._session.close()

    def _found(self, session: driver.PostgresqlSession) -> dict[int, str]:
        names = [column.dest_type for _, column in self._candidates]
        membered = {row[0] for row in session.fetch(_MEMBERED, (names,))}
        found = {
            position: _condition(column.dest_type, membered=column.dest_type in membered)
            for position, column in self._candidates
        }
        self._candidates = [(position, column) for position, column in self._candidates if found[position]]
        return found

    def _ask(self, session: driver.PostgresqlSession, array: pa.Array, column: Column, condition: str) -> None:
        rows = []
        # what is no value of the type at all is told by the COPY, with its place
        with suppress(PipekitError):
            rows = session.fetch(
                f"SELECT x FROM unnest(%s::text[]) AS x WHERE {condition} LIMIT 1", (array.drop_null().to_pylist(),)
            )
        if rows:
            raise misfit(column, rows[0][0])


def _condition(native: str, *, membered: bool) -> str:
    """Return when ``x`` is not kept by the type ("" where it always is): compared with the type without its bounds."""
    # the type comes from the catalogue, where it stands quoted as SQL needs it
    if membered:
        return f"x::{native}::text IS DISTINCT FROM x"
    array = "[]" if native.endswith("[]") else ""
    name = element(native)
    if name in _NAMES:
        return f"x::{native}::text{array} IS DISTINCT FROM x::text{array}"
    wide = "interval" if name.startswith("interval") else _UNBOUNDED.get(name, name)
    bounded = ("(" in native or wide != name) and name not in _STRICT
    return f"x::{native} IS DISTINCT FROM x::{wide}{array}" if bounded else ""

"""Checks on the server for text that a cast to the column's type would truncate or round.

``numeric(9,2)[]`` rounds values of ``numeric[]``; composite types and arrays of domains do so because of the types of
their members.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import pyarrow as pa

from connections.connectors.postgresql import driver
from connections.connectors.postgresql.copy.native_texts import element
from connections.sdk.arrow.invalid_values import invalid_value
from connections.sdk.errors import PipekitError
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import Column
from connections.sdk.types import Kind

# the composite types and domains, and arrays of these, among the given types
_COMPOSITES = """
SELECT x.name FROM unnest(%s::text[]) AS x(name) JOIN pg_type t ON t.oid = to_regtype(x.name)
LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A' WHERE coalesce(e.typtype, t.typtype) IN ('c', 'd')
"""
_NAMES = frozenset({"name", '"char"'})
# the server refuses values of another length instead of truncating them
_STRICT = frozenset({"bit", "bit varying"})
# character without a length has the length 1
_UNBOUNDED = {"character": "bpchar"}


class LossyCastCheck:
    """The checks for one table. Opens a session when the first batch is checked, unless no column needs a check."""

    def __init__(self, parameters: ConnectionParameters, columns: Sequence[Column]) -> None:
        self.parameters = parameters
        self._candidates = [
            (position, column)
            for position, column in enumerate(columns)
            if column.data_type.kind is Kind.NATIVE or element(column.dest_type) in _NAMES
        ]
        self._session: driver.PostgresqlSession | None = None
        self._conditions: dict[int, str] | None = None

    @property
    def is_needed(self) -> bool:
        """Return whether there may be columns to check."""
        return bool(self._candidates)

    def check(self, batch: pa.RecordBatch) -> None:
        """Raise InvalidValue for the first text that the column would store as another value."""
        if not self._candidates:
            return
        if self._session is None:
            self._session = driver.connect(self.parameters)
            self._conditions = self._find_conditions(self._session)
        for position, column in self._candidates:
            condition = (self._conditions or {}).get(position)
            if condition:
                self._check_column(self._session, batch.column(position), column, condition)

    def close(self) -> None:
        if self._session:
            self._session.close()

    def _find_conditions(self, session: driver.PostgresqlSession) -> dict[int, str]:
        names = [column.dest_type for _, column in self._candidates]
        composites = {row[0] for row in session.fetch(_COMPOSITES, (names,))}
        conditions = {
            position: _condition(column.dest_type, is_composite=column.dest_type in composites)
            for position, column in self._candidates
        }
        self._candidates = [(position, column) for position, column in self._candidates if conditions[position]]
        return conditions

    def _check_column(self, session: driver.PostgresqlSession, array: pa.Array, column: Column, condition: str) -> None:
        rows = []
        # the statement has parameters, and the name of a type may have a percent sign
        escaped = condition.replace("%", "%%")
        # for text that is not a value of the type the COPY raises a better error, with the row
        with suppress(PipekitError):
            rows = session.fetch(
                f"SELECT x FROM unnest(%s::text[]) AS x WHERE {escaped} LIMIT 1", (array.drop_null().to_pylist(),)
            )
        if rows:
            raise invalid_value(column, rows[0][0])


def _condition(native: str, *, is_composite: bool) -> str:
    """Return the condition that the type changes the text ``x``; empty for a type that never does.

    The value is compared with that of the type without length and precision.
    """
    # the type comes from the catalogue, already quoted for SQL
    if is_composite:
        return f"x::{native}::text IS DISTINCT FROM x"
    array = "[]" if native.endswith("[]") else ""
    name = element(native)
    if name in _NAMES:
        return f"x::{native}::text{array} IS DISTINCT FROM x::text{array}"
    wide = "interval" if name.startswith("interval") else _UNBOUNDED.get(name, name)
    bounded = ("(" in native or wide != name) and name not in _STRICT
    return f"x::{native} IS DISTINCT FROM x::{wide}{array}" if bounded else ""

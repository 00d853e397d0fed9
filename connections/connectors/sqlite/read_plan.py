"""The SQL with which a query is read exactly, whatever the declared types. Does not connect.

ADBC's driver infers the Arrow type of each column from its first batch. So the first batch consists of seed rows with
the expected types, which are discarded, and a later value of another storage class raises an error instead of being
converted.
"""

from __future__ import annotations

from collections.abc import Sequence

from connections.sdk.arrow.invalid_values import invalid_value
from connections.sdk.errors import InvalidValue
from connections.sdk.records import dataclass
from connections.sdk.schema import Column
from connections.sdk.sql.final_semicolon import without_final_semicolon
from connections.sdk.types import Kind, to_arrow

_WHOLE = frozenset({Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT})
_NUMERIC = _WHOLE | {Kind.REAL, Kind.DOUBLE, Kind.DECIMAL}
_INTEGER, _REAL, _TEXT, _BLOB = "0", "0.5", "''", "x''"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A column of the SQL: its expression, and the literal of its type in the seed rows."""

    expression: str
    seed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPlan:
    """The SQL to read a query.

    ``seeds`` is the number of seed rows at its beginning. ``places`` has the positions of the outputs that form each
    column: one, or two for a mixed column (its reals, and everything else).
    """

    sql: str
    seeds: int
    places: tuple[tuple[int, ...], ...]
    # position of the output in which a value of a wrong class is reported as text
    guard: int
    # query for the first text value of a binary column or BLOB of a text column; empty if there are no such columns
    first_wrong_class: str


def is_number(column: Column) -> bool:
    """Return whether values of the column are transferred as numbers."""
    import pyarrow as pa

    return column.data_type.kind in _NUMERIC and not pa.types.is_string(to_arrow(column.data_type))


def outputs(name: str, column: Column, *, mixed: bool) -> tuple[Output, ...]:
    """Return the outputs that form the column."""
    kind = column.data_type.kind
    if kind is Kind.BINARY:
        return (Output(expression=name, seed=_BLOB),)
    if not is_number(column):
        return (Output(expression=name, seed=_TEXT),)
    if mixed:
        # reals as numbers, everything else as text
        return (
            Output(expression=f"CASE typeof({name}) WHEN 'real' THEN {name} END", seed=_REAL),
            Output(expression=f"CASE typeof({name}) WHEN 'real' THEN NULL ELSE {name} END", seed=_TEXT),
        )
    return (Output(expression=name, seed=_INTEGER if kind in _WHOLE else _REAL),)


def wrong_class(name: str, column: Column, *, mixed: bool) -> str:
    """Return the condition that a value is text in a binary column, or a BLOB in any other that is read as text.

    The driver would silently convert such values. Empty for numbers with one storage class, which it checks itself.
    """
    # without the plus, a column of numeric affinity would have each text parsed as a number
    if column.data_type.kind is Kind.BINARY:
        return f"+{name} < x''"
    return f"+{name} >= x''" if mixed or not is_number(column) else ""


def plan(query: str, columns: Sequence[Column], *, mixed: frozenset[int], rows: int) -> ReadPlan:
    """Return how to read ``query``; ``mixed`` are the positions of numeric columns with several storage classes."""
    names = [f"c{position}" for position in range(len(columns))]
    all_outputs: list[Output] = []
    places: list[tuple[int, ...]] = []
    conditions: list[tuple[int, str]] = []
    for position, (name, column) in enumerate(zip(names, columns, strict=True)):
        own = outputs(name, column, mixed=position in mixed)
        places.append(tuple(range(len(all_outputs), len(all_outputs) + len(own))))
        all_outputs.extend(own)
        if condition := wrong_class(name, column, mixed=position in mixed):
            conditions.append((position, condition))
    with_query = f"WITH q({', '.join(names)}) AS (\n{without_final_semicolon(query)}\n)"
    guard = -1
    if conditions:
        guard = _add_guard(all_outputs, " OR ".join(condition for _, condition in conditions))
    return ReadPlan(
        sql=f"{with_query}\n{_seeded(all_outputs, rows)}",
        seeds=rows,
        places=tuple(places),
        guard=guard,
        first_wrong_class=f"{with_query}\n{_first_wrong_class(conditions)}" if conditions else "",
    )


def unseeded(query: str, columns: Sequence[Column]) -> str:
    """Return the SQL for a reader that needs no seed rows, because it looks at the storage class of each value."""
    names = ", ".join(f"c{position}" for position in range(len(columns)))
    return f"WITH q({names}) AS (\n{without_final_semicolon(query)}\n)\nSELECT {names} FROM q"


def wrong_class_error(column: Column, value: object) -> InvalidValue:
    """Return the error for text in a binary column, or bytes in any other."""
    expected = "bytes (a BLOB), not text" if column.data_type.kind is Kind.BINARY else "text, not bytes (a BLOB)"
    why = f"has the wrong storage class: expected {expected}"
    return invalid_value(column, value, why=why, hint="Convert it in the source query with CAST.")


def _add_guard(all_outputs: list[Output], condition: str) -> int:
    """Make the first output of a number text where the condition is true, and return its position.

    The driver stops at a text in such an output. If there is none, an output is added.
    """
    for position, output in enumerate(all_outputs):
        if output.seed in (_INTEGER, _REAL):
            expression = f"CASE WHEN {condition} THEN '' ELSE {output.expression} END"
            all_outputs[position] = Output(expression=expression, seed=output.seed)
            return position
    all_outputs.append(Output(expression=f"CASE WHEN {condition} THEN '' END", seed=_INTEGER))
    return len(all_outputs) - 1


def _seeded(all_outputs: list[Output], rows: int) -> str:
    seeds = ", ".join(output.seed for output in all_outputs)
    expressions = ", ".join(output.expression for output in all_outputs)
    return (
        f"SELECT {seeds} FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
        f" SELECT i FROM n)\nUNION ALL\nSELECT {expressions} FROM q"
    )


def _first_wrong_class(conditions: list[tuple[int, str]]) -> str:
    numbers = " ".join(f"WHEN {condition} THEN {position}" for position, condition in conditions)
    values = " ".join(f"WHEN {condition} THEN c{position}" for position, condition in conditions)
    guard = " OR ".join(condition for _, condition in conditions)
    return f"SELECT CASE {numbers} END, CASE {values} END FROM q WHERE {guard} LIMIT 1"

"""The query that makes ADBC read SQLite exactly, whatever the declared types say. Makes text, never connects.

The driver takes each column's Arrow type from its first batch and then holds to it, so the first batch is made of
seed rows of the wanted types and dropped. A value of another storage class then fails instead of being guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connections.sdk.schema import Column
from connections.sdk.sql.statement import statement
from connections.sdk.sql.types import Kind, to_arrow

_WHOLE = frozenset({Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT})
_NUMERIC = _WHOLE | {Kind.REAL, Kind.DOUBLE, Kind.DECIMAL}
_INTEGER, _REAL, _TEXT, _BLOB = "0", "0.5", "''", "x''"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One column of the query sent: its expression and the literal that seeds its type."""

    expression: str
    seed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingPlan:
    """The query sent, how many seed rows come first, and which outputs make up each column (one, or reals and rest)."""

    sql: str
    seeds: int
    places: tuple[tuple[int, ...], ...]
    # finds the first value of a storage class that a text or binary column must not have
    strays: str


def is_number(column: Column) -> bool:
    import pyarrow as pa

    return column.data_type.kind in _NUMERIC and not pa.types.is_string(to_arrow(column.data_type))


def outputs(name: str, column: Column, *, careful: bool) -> tuple[Output, ...]:
    kind = column.data_type.kind
    if kind is Kind.BINARY:
        return (Output(expression=name, seed=_BLOB),)
    if not is_number(column):
        return (Output(expression=name, seed=_TEXT),)
    if careful:
        # reals as they are, everything else by its text
        return (
            Output(expression=f"CASE typeof({name}) WHEN 'real' THEN {name} END", seed=_REAL),
            Output(expression=f"CASE typeof({name}) WHEN 'real' THEN NULL ELSE {name} END", seed=_TEXT),
        )
    return (Output(expression=name, seed=_INTEGER if kind in _WHOLE else _REAL),)


def stray(name: str, column: Column, *, careful: bool) -> str:
    """Return the condition under which the driver would pass a blob as text or text as a blob."""
    if column.data_type.kind is Kind.BINARY:
        return f"{name} < x''"
    return f"{name} >= x''" if careful or not is_number(column) else ""


def plan(query: str, columns: Sequence[Column], *, careful: frozenset[int], rows: int) -> ReadingPlan:
    """Return how to read ``query``; ``careful`` are the columns whose numbers come in several storage classes."""
    names = [f"c{position}" for position in range(len(columns))]
    found: list[Output] = []
    places: list[tuple[int, ...]] = []
    strays: list[tuple[int, str]] = []
    for position, (name, column) in enumerate(zip(names, columns, strict=True)):
        mine = outputs(name, column, careful=position in careful)
        places.append(tuple(range(len(found), len(found) + len(mine))))
        found.extend(mine)
        if condition := stray(name, column, careful=position in careful):
            strays.append((position, condition))
    with_query = f"WITH q({', '.join(names)}) AS (\n{statement(query)}\n)"
    return ReadingPlan(
        sql=f"{with_query}\n{_seeded(found, strays, rows)}",
        seeds=rows,
        places=tuple(places),
        strays=f"{with_query}\n{_first_stray(strays)}" if strays else "",
    )


def _seeded(found: list[Output], strays: list[tuple[int, str]], rows: int) -> str:
    guard = " OR ".join(condition for _, condition in strays)
    # a text in a column seeded with an integer stops the driver: that is the guard
    more = [Output(expression=f"CASE WHEN {guard} THEN '' END", seed=_INTEGER)] if guard else []
    seeds = ", ".join(output.seed for output in found + more)
    expressions = ", ".join(output.expression for output in found + more)
    return (
        f"SELECT {seeds} FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
        f" SELECT i FROM n)\nUNION ALL\nSELECT {expressions} FROM q"
    )


def _first_stray(strays: list[tuple[int, str]]) -> str:
    numbers = " ".join(f"WHEN {condition} THEN {position}" for position, condition in strays)
    values = " ".join(f"WHEN {condition} THEN c{position}" for position, condition in strays)
    guard = " OR ".join(condition for _, condition in strays)
    return f"SELECT CASE {numbers} END, CASE {values} END FROM q WHERE {guard} LIMIT 1"

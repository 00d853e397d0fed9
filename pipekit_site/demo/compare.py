"""Compares the demo's source and destination row by row, independently of the code that moved the rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

Row = tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A module's table on both sides: two queries with the same columns, ordered by a unique key."""

    module: str
    source: str
    destination: str
    # which rows are compared, for the message; empty: all
    rows: str = ""


COMPARISONS = (
    Comparison(
        module="demo_orders",
        source='SELECT "DCORD#", RTRIM(DCOTYP), "DCCUS#", DCODAT, DCOVAL, DCOUPD FROM QCRH ORDER BY 1',
        destination="SELECT dcord, dcotyp, dccus, dcodat, dcoval, dcoupd FROM demo.orders ORDER BY 1",
    ),
    Comparison(
        module="demo_order_lines",
        source='SELECT "DDORD#", "DDLIN#", RTRIM(DDITEM), DDQTY, DDPRC, DDUPD FROM QCRD ORDER BY 1, 2',
        destination="SELECT ddord, ddlin, dditem, ddqty, ddprc, ddupd FROM demo.order_lines ORDER BY 1, 2",
    ),
    Comparison(
        module="demo_customers",
        source='SELECT "CUCUS#", RTRIM(CUNAME), RTRIM(CUCITY), CUCRLM FROM CUSMAS ORDER BY 1',
        destination="SELECT cucus, cuname, cucity, cucrlm FROM demo.customers ORDER BY 1",
    ),
    Comparison(
        module="demo_items",
        source="SELECT RTRIM(ITITEM), RTRIM(ITDESC), ITWGT, ITACT FROM ITMMAS ORDER BY 1",
        destination='SELECT ititem, itdesc, itwgt, itact::int FROM demo.items ORDER BY ititem COLLATE "C"',
    ),
    Comparison(
        module="demo_movements",
        source='SELECT "STSEQ#", RTRIM(STITEM), STQTY, STWHEN FROM STKTRN ORDER BY 1',
        destination="SELECT stseq, stitem, stqty, stwhen FROM demo.movements ORDER BY 1",
    ),
    Comparison(
        module="demo_recent_orders",
        # the watermark {since} excludes older rows
        source='SELECT "DCORD#", DCODAT, DCOVAL FROM QCRH\n'
        "WHERE DCODAT >= (SELECT date(max(DCODAT), '-30 days') FROM QCRH) ORDER BY 1",
        destination="SELECT dcord, dcodat, dcoval FROM demo.recent_orders\n"
        "WHERE dcodat >= (SELECT max(dcodat) - 30 FROM demo.recent_orders) ORDER BY 1",
        rows=" of the last 30 days",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The number of equal rows, and the first pair of rows that differs, or None."""

    module: str
    rows: int
    difference: tuple[Row | None, Row | None] | None


def compare_sides(source: Path, warehouse: str, comparison: Comparison) -> Result:
    """Read both sides in parallel, in batches, and stop at the first difference."""
    with sqlite3.connect(f"file:{source}?mode=ro", uri=True) as left, psycopg.connect(warehouse) as right:
        right.execute("SET TimeZone = 'UTC'")
        with right.cursor(name="verify") as cursor:
            cursor.itersize = 20_000
            cursor.execute(comparison.destination.encode())
            result = _compare_rows(comparison.module, left.execute(comparison.source), cursor)
    left.close()
    return result


def _compare_rows(module: str, source: Iterable[tuple[Any, ...]], destination: Iterable[tuple[Any, ...]]) -> Result:
    left, right = _texts(source), _texts(destination)
    rows = 0
    while True:
        pair = next(left, None), next(right, None)
        if pair == (None, None):
            return Result(module=module, rows=rows, difference=None)
        if pair[0] != pair[1]:
            return Result(module=module, rows=rows, difference=pair)
        rows += 1


def _texts(rows: Iterable[tuple[Any, ...]]) -> Iterator[Row]:
    return (tuple(None if value is None else _text(value) for value in row) for row in rows)


def _text(value: Any) -> str:
    """Return the value in a normal form, the same for 1.50, 1.5 and Decimal('1.500').

    SQLite stores a DECIMAL as a float, of which 15 digits are exact (https://www.sqlite.org/floatingpoint.html).
    """
    if isinstance(value, float | int | Decimal):
        return format(Decimal(f"{value:.15g}" if isinstance(value, float) else value).normalize(), "f")
    return str(value)

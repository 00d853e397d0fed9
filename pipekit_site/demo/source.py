"""The demo's source: a SQLite file with AS/400-like tables, and a day's changes to them.

Names end in `#`, texts are padded with spaces, and types are declared as DB2 for i reports them. The random numbers
have fixed seeds, so the rows are the same each time.
"""

from __future__ import annotations

import datetime as dt
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from connections.sdk.files.private import create_private

ORDERS, LINES, CUSTOMERS, ITEMS, MOVEMENTS = 60_000, 250_000, 5_000, 2_000, 100_000
# in the past: a run warns of timestamps in the future
_START = dt.datetime(2024, 1, 8, 6, 0)

_TABLES = """
CREATE TABLE QCRH (
  "DCORD#" INTEGER, DCOTYP CHAR(5), "DCCUS#" INTEGER, DCODAT DATE, DCOVAL DECIMAL(11,2), DCOUPD TIMESTAMP);
CREATE TABLE QCRD (
  "DDORD#" INTEGER, "DDLIN#" SMALLINT, DDITEM CHAR(15), DDQTY DECIMAL(9,3), DDPRC DECIMAL(11,4), DDUPD TIMESTAMP);
CREATE TABLE CUSMAS ("CUCUS#" INTEGER, CUNAME CHAR(30), CUCITY CHAR(20), CUCRLM DECIMAL(9,2));
CREATE TABLE ITMMAS (ITITEM CHAR(15), ITDESC CHAR(40), ITWGT DECIMAL(7,3), ITACT BOOLEAN);
CREATE TABLE STKTRN ("STSEQ#" BIGINT, STITEM CHAR(15), STQTY DECIMAL(9,3), STWHEN TIMESTAMP);
CREATE INDEX QCRD_1 ON QCRD ("DDORD#", "DDLIN#");
CREATE INDEX QCRH_1 ON QCRH ("DCORD#");
"""
_CITIES = ("Hamburg", "Wien", "Zürich", "Kraków", "Nîmes", "Malmö", "Łódź", "Graz")
_NAMES = ("O'Neill & Söhne", "Müller GmbH", 'Papier "Nord"', "Ångström AB", "Dupré SARL", "Smith; Jones")


def create(path: Path) -> None:
    """Create the file, replacing an existing one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    create_private(path)
    rng = random.Random(400)
    with sqlite3.connect(path) as connection:
        connection.executescript(_TABLES)
        _insert(connection, "QCRH", 6, _orders(rng, range(1, ORDERS + 1)))
        _insert(connection, "QCRD", 6, _lines(rng))
        _insert(connection, "CUSMAS", 4, _customers(rng))
        _insert(connection, "ITMMAS", 4, _items(rng))
        _insert(connection, "STKTRN", 4, _movements(rng, range(1, MOVEMENTS + 1)))
    connection.close()


def change(path: Path) -> None:
    """Apply a day's changes: inserts, updates and deletes."""
    rng = random.Random(401)
    later = (_START + dt.timedelta(days=400)).isoformat(sep=" ")
    with sqlite3.connect(path) as connection:
        _insert(connection, "QCRH", 6, _orders(rng, range(ORDERS + 1, ORDERS + 1_201)))
        connection.execute('UPDATE QCRH SET DCOVAL = DCOVAL + 1, DCOUPD = ? WHERE "DCORD#" % 97 = 0', (later,))
        connection.execute('UPDATE QCRD SET DDQTY = DDQTY + 1.5, DDUPD = ? WHERE "DDORD#" % 211 = 0', (later,))
        connection.execute('DELETE FROM QCRD WHERE "DDORD#" % 503 = 7')
        connection.execute('UPDATE CUSMAS SET CUCITY = ? WHERE "CUCUS#" % 50 = 0', ("Bern".ljust(20),))
        connection.execute("INSERT INTO CUSMAS VALUES (?, ?, NULL, 0)", (CUSTOMERS + 1, "New Customer".ljust(30)))
        connection.execute("DELETE FROM ITMMAS WHERE ITITEM LIKE 'IT0001%'")
        _insert(connection, "STKTRN", 4, _movements(rng, range(MOVEMENTS + 1, MOVEMENTS + 5_001)))
    connection.close()


def _insert(connection: sqlite3.Connection, table: str, width: int, rows: Iterator[tuple[Any, ...]]) -> None:
    connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * width)})", rows)


def _timestamp(number: int) -> str:
    return (_START + dt.timedelta(seconds=number * 437, microseconds=number * 7 % 1_000_000)).isoformat(sep=" ")


def _orders(rng: random.Random, numbers: range) -> Iterator[tuple[Any, ...]]:
    for number in numbers:
        timestamp = _timestamp(number)
        kind = rng.choice(("STD", "RUSH", "RET", "")).ljust(5)
        yield number, kind, rng.randint(1, CUSTOMERS), timestamp[:10], rng.randint(100, 9_999_999) / 100, timestamp


def _lines(rng: random.Random) -> Iterator[tuple[Any, ...]]:
    for number in range(LINES):
        order, line = number % ORDERS + 1, number // ORDERS + 1
        quantity, price = rng.randint(1, 99_999) / 1000, rng.randint(1, 9_999_999) / 10_000
        yield order, line, _item(rng.randint(1, ITEMS)), quantity, price, _timestamp(order)


def _customers(rng: random.Random) -> Iterator[tuple[Any, ...]]:
    for number in range(1, CUSTOMERS + 1):
        name, city = f"{rng.choice(_NAMES)} {number}".ljust(30), rng.choice(_CITIES).ljust(20)
        yield number, name, city if number % 11 else None, rng.randint(0, 5_000_000) / 100


def _items(rng: random.Random) -> Iterator[tuple[Any, ...]]:
    for number in range(1, ITEMS + 1):
        yield _item(number), f"Item number {number}".ljust(40), rng.randint(1, 999_999) / 1000, number % 7 != 0


def _movements(rng: random.Random, numbers: range) -> Iterator[tuple[Any, ...]]:
    for number in numbers:
        yield number, _item(rng.randint(1, ITEMS)), rng.randint(-50_000, 50_000) / 1000, _timestamp(number)


def _item(number: int) -> str:
    return f"IT{number:06d}".ljust(15)

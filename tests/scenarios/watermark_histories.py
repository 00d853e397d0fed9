"""Histories of growing tables: watermark values that a source writes and the destination understands.

No value is less than an earlier one. Where the source stores texts, their form changes from row to row: T or a blank,
omitted seconds or times, fractions, offsets.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from random import Random

ZONED, TIMESTAMP, DATE, TIME, TEXT, NUMBER = "zoned", "timestamp", "date", "time", "text", "number"

# declared type at the source -> what its values are; a TEXT is compared by its characters
SOURCES = {
    "sqlite": {
        "TEXT": TEXT,
        "TEXT COLLATE NOCASE": TEXT,
        "DATETIME": TEXT,
        "TIMESTAMP": TEXT,
        "TIMESTAMPTZ": TEXT,
        "DATE": TEXT,
        "TIME": TEXT,
        "": TEXT,
        "INTEGER": NUMBER,
        "DECIMAL(15,4)": NUMBER,
    },
    "postgresql": {
        "text": TEXT,
        'text COLLATE "C.utf8"': TEXT,
        "timestamp": TIMESTAMP,
        "timestamptz": ZONED,
        "date": DATE,
        "time": TIME,
        "numeric": NUMBER,
        "bigint": NUMBER,
        "double precision": NUMBER,
    },
    "duckdb": {
        "VARCHAR": TEXT,
        "TIMESTAMP": TIMESTAMP,
        "TIMESTAMP_NS": TIMESTAMP,
        "TIMESTAMPTZ": ZONED,
        "DATE": DATE,
        "TIME": TIME,
        "DECIMAL(20,4)": NUMBER,
        "BIGINT": NUMBER,
    },
}
DESTINATIONS = {
    "sqlite": {
        "TIMESTAMPTZ_TEXT": ZONED,
        "TIMESTAMP_TEXT": TIMESTAMP,
        "DATE_TEXT": DATE,
        "TIME_TEXT": TIME,
        "TEXT": TEXT,
        "DECIMAL(15,4)": NUMBER,
    },
    "postgresql": {
        "timestamptz": ZONED,
        "timestamp": TIMESTAMP,
        "date": DATE,
        "time": TIME,
        "text": TEXT,
        'text COLLATE "C"': TEXT,
        "numeric": NUMBER,
    },
    "duckdb": {
        "TIMESTAMPTZ": ZONED,
        "TIMESTAMP": TIMESTAMP,
        "DATE": DATE,
        "TIME": TIME,
        "VARCHAR": TEXT,
        "DECIMAL(20,4)": NUMBER,
    },
}
_STEPS = (
    dt.timedelta(),
    dt.timedelta(microseconds=1),
    dt.timedelta(milliseconds=500),
    dt.timedelta(seconds=1),
    dt.timedelta(minutes=30),
    dt.timedelta(hours=5),
    dt.timedelta(hours=23),
)
_OFFSETS = (-720, -300, -90, 0, 120, 330, 840)


@dataclass(frozen=True, kw_only=True)
class Pair:
    source: str
    dest: str
    declared: str
    dest_declared: str
    # what the values are at the source and in the destination
    source_meaning: str
    dest_meaning: str

    def __str__(self) -> str:
        return f"{self.source} {self.declared or 'undeclared'} to {self.dest} {self.dest_declared}"


def pairs(source: str, dest: str) -> list[Pair]:
    """Return the pairs of types that a transfer accepts."""
    return [
        Pair(
            source=source,
            dest=dest,
            declared=declared,
            dest_declared=dest_declared,
            source_meaning=source_meaning,
            dest_meaning=dest_meaning,
        )
        for declared, source_meaning in SOURCES[source].items()
        for dest_declared, dest_meaning in DESTINATIONS[dest].items()
        if source_meaning == dest_meaning or dest_meaning == TEXT or (source_meaning == TEXT and dest_meaning != NUMBER)
    ]


def history(pair: Pair, random: Random, *, batches: int) -> list[list[str]]:
    """Return the values that each batch inserts, as SQL literals."""
    if pair.source_meaning == NUMBER:
        return _numbers(pair, random, batches)
    kind = pair.source_meaning if pair.source_meaning != TEXT else pair.dest_meaning
    # texts with offsets are sorted by time only if all of them have one
    offsets = kind == ZONED or (kind == TEXT and random.random() < 0.3)
    # a random hour, so that some lower bounds are on the day before
    timestamp = dt.datetime(2026, 1, 31, random.randrange(24))
    step = dt.timedelta(days=1) if kind == DATE else None
    literals = []
    for _ in range(batches):
        values = []
        for _ in range(random.randint(1, 3)):
            later = timestamp + (step * random.randrange(2) if step else random.choice(_STEPS))
            # a time of day starts again at midnight
            timestamp = timestamp if kind == TIME and later.date() != timestamp.date() else later
            values.append(
                "'" + _format(kind, timestamp, random, offsets=offsets, free=pair.source_meaning == TEXT) + "'"
            )
        literals.append(values)
    return literals


def _numbers(pair: Pair, random: Random, batches: int) -> list[list[str]]:
    whole = pair.declared.upper() in ("INTEGER", "BIGINT")
    number, literals = random.choice([-3, 7, 95, 9_999]), []
    for _ in range(batches):
        values = []
        for _ in range(random.randint(1, 3)):
            number += random.choice([1, 2, 90])
            values.append(str(number) if whole else f"{number}.{random.randrange(10_000):04}")
        literals.append(values)
    return literals


def _format(kind: str, timestamp: dt.datetime, random: Random, *, offsets: bool, free: bool) -> str:
    if kind == DATE:
        return f"{timestamp:%Y-%m-%d}" + (random.choice(["", " 00:00", "T00:00:00"]) if free else "")
    if kind == TIME:
        return _time(timestamp, random, free=free)
    if not free:
        return timestamp.isoformat(sep=" ") + ("+00" if kind == ZONED else "")
    if not offsets:
        zulu = "Z" if kind == TEXT and random.random() < 0.3 else ""
        if not zulu and timestamp.time() == dt.time() and random.random() < 0.5:
            return f"{timestamp:%Y-%m-%d}"
        return f"{timestamp:%Y-%m-%d}{random.choice(' T')}{_time(timestamp, random, free=True)}{zulu}"
    minutes = random.choice(_OFFSETS)
    local = timestamp + dt.timedelta(minutes=minutes)
    if kind == ZONED and minutes == 0:
        zone = random.choice(["", "Z", "+00:00", "+00"])
    else:
        zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    return f"{local:%Y-%m-%d}{random.choice(' T')}{_time(local, random, free=True)}{zone}"


def _time(timestamp: dt.datetime, random: Random, *, free: bool) -> str:
    text = timestamp.time().isoformat()
    if free and "." in text:
        text = text.rstrip("0") + "0" * random.randrange(3)
        return text[:15]
    return text[:5] if free and text.endswith(":00") and random.random() < 0.5 else text

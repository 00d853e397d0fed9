"""Histories of a growing table: values that a source of one type writes and a destination of another type understands.

Every value is at least as late as all earlier ones. How it is written changes from row to row where the source keeps
texts: T or blank, seconds and midnight left out, fractions, offsets.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from random import Random

ZONED, MOMENT, DATE, TIME, TEXT, NUMBER = "zoned", "moment", "date", "time", "text", "number"

# what a source declares, and what its values are there; `text` is compared by its spelling
SOURCES = {
    "sqlite": {
        "TEXT": TEXT,
        "VARCHAR(40)": TEXT,
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
        "varchar(40)": TEXT,
        'text COLLATE "C.utf8"': TEXT,
        "timestamp": MOMENT,
        "timestamptz": ZONED,
        "date": DATE,
        "time": TIME,
        "numeric": NUMBER,
        "bigint": NUMBER,
        "double precision": NUMBER,
    },
    "duckdb": {
        "VARCHAR": TEXT,
        "TIMESTAMP": MOMENT,
        "TIMESTAMP_NS": MOMENT,
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
        "TIMESTAMP_TEXT": MOMENT,
        "DATE_TEXT": DATE,
        "TIME_TEXT": TIME,
        "TEXT": TEXT,
        "DECIMAL(15,4)": NUMBER,
    },
    "postgresql": {
        "timestamptz": ZONED,
        "timestamp": MOMENT,
        "date": DATE,
        "time": TIME,
        "text": TEXT,
        'text COLLATE "C"': TEXT,
        "numeric": NUMBER,
    },
    "duckdb": {
        "TIMESTAMPTZ": ZONED,
        "TIMESTAMP": MOMENT,
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
    # what the values mean at the source and in the destination
    held: str
    meant: str

    def __str__(self) -> str:
        return f"{self.source} {self.declared or 'undeclared'} to {self.dest} {self.dest_declared}"


def pairs(source: str, dest: str) -> list[Pair]:
    """Return the pairs of types between which values travel; all others are refused in the transfer."""
    return [
        Pair(source=source, dest=dest, declared=declared, dest_declared=dest_declared, held=held, meant=meant)
        for declared, held in SOURCES[source].items()
        for dest_declared, meant in DESTINATIONS[dest].items()
        if held == meant or meant == TEXT or (held == TEXT and meant != NUMBER)
    ]


def history(pair: Pair, random: Random, *, batches: int) -> list[list[str]]:
    """Return SQL literals of the values that each batch inserts."""
    if pair.held == NUMBER:
        return _numbers(pair, random, batches)
    kind = pair.held if pair.held != TEXT else pair.meant
    # texts with offsets are in the order of time only when all have one
    offsets = kind == ZONED or (kind == TEXT and random.random() < 0.3)
    # so that a step back ends in another day, or does not
    moment = dt.datetime(2026, 1, 31, random.randrange(24))
    step = dt.timedelta(days=1) if kind == DATE else None
    found = []
    for _ in range(batches):
        values = []
        for _ in range(random.randint(1, 3)):
            moved = moment + (step * random.randrange(2) if step else random.choice(_STEPS))
            # a time of day begins anew at midnight
            moment = moment if kind == TIME and moved.date() != moment.date() else moved
            values.append("'" + _written(kind, moment, random, offsets=offsets, free=pair.held == TEXT) + "'")
        found.append(values)
    return found


def _numbers(pair: Pair, random: Random, batches: int) -> list[list[str]]:
    whole = pair.declared.upper() in ("INTEGER", "BIGINT")
    number, found = random.choice([-3, 7, 95, 9_999]), []
    for _ in range(batches):
        values = []
        for _ in range(random.randint(1, 3)):
            number += random.choice([1, 2, 90])
            values.append(str(number) if whole else f"{number}.{random.randrange(10_000):04}")
        found.append(values)
    return found


def _written(kind: str, moment: dt.datetime, random: Random, *, offsets: bool, free: bool) -> str:
    if kind == DATE:
        return f"{moment:%Y-%m-%d}" + (random.choice(["", " 00:00", "T00:00:00"]) if free else "")
    if kind == TIME:
        return _time(moment, random, free=free)
    if not free:
        return moment.isoformat(sep=" ") + ("+00" if kind == ZONED else "")
    if not offsets:
        zulu = "Z" if kind == TEXT and random.random() < 0.3 else ""
        if not zulu and moment.time() == dt.time() and random.random() < 0.5:
            return f"{moment:%Y-%m-%d}"
        return f"{moment:%Y-%m-%d}{random.choice(' T')}{_time(moment, random, free=True)}{zulu}"
    minutes = random.choice(_OFFSETS)
    local = moment + dt.timedelta(minutes=minutes)
    if kind == ZONED and minutes == 0:
        zone = random.choice(["", "Z", "+00:00", "+00"])
    else:
        zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    return f"{local:%Y-%m-%d}{random.choice(' T')}{_time(local, random, free=True)}{zone}"


def _time(moment: dt.datetime, random: Random, *, free: bool) -> str:
    text = moment.time().isoformat()
    if free and "." in text:
        text = text.rstrip("0") + "0" * random.randrange(3)
        return text[:15]
    return text[:5] if free and text.endswith(":00") and random.random() < 0.5 else text

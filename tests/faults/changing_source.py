"""A source that keeps changing, and what must be at the destination: kept here, outside both databases.

Rows are compared by number, keys and an MD5 over their canonical text; differences are counted as lost or doubled.
What the destination says of itself is its bytes and its commit records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import md5
from pathlib import Path
from random import Random
from typing import Any

import psycopg

from runs.engine.plan import Plan, Strategy
from tests.benches.bench import Bench

Row = tuple[int, str, int]
QUERY = "SELECT k, v, w FROM s"
STORED = "SELECT k, v, w FROM sync.t"
MERGING = (Strategy.INCREMENTAL, Strategy.UPSERT)


@dataclass(frozen=True, slots=True)
class Evidence:
    """``keys`` are (k, w): an append keeps every version of a row."""

    count: int
    keys: frozenset[tuple[int, int]]
    checksum: str


def evidence(rows: Iterable[Row]) -> Evidence:
    ordered = sorted(rows)
    text = "\n".join(f"{k}\t{v}\t{w}" for k, v, w in ordered)
    return Evidence(len(ordered), frozenset((k, w) for k, _, w in ordered), md5(text.encode()).hexdigest())


def compared(expected: Iterable[Row], found: Iterable[Row]) -> tuple[int, int]:
    """Return how many rows are missing and how many are too many."""
    wanted, there = Counter(expected), Counter(found)
    return (wanted - there).total(), (there - wanted).total()


def stored(bench: Bench) -> list[Row]:
    return [(k, v, w) for k, v, w in bench.rows(STORED)]


def bytes_of(bench: Bench) -> bytes:
    """The table as the server stores and sends it, each row's place included; nothing when there is no table."""
    with psycopg.connect(bench.destination.url) as connection:
        if connection.execute("SELECT to_regclass('sync.t')").fetchone() == (None,):
            return b""
        copy = "COPY (SELECT ctid, * FROM sync.t ORDER BY ctid) TO STDOUT (FORMAT binary)"
        with connection.cursor().copy(copy) as blocks:
            return b"".join(blocks)


def committed(bench: Bench, run: str) -> set[str]:
    """What of a run is committed, by the destination's own record: publish, key_sync."""
    if bench.rows("SELECT to_regclass('pipekit_staging.pipekit_commits')") == [(None,)]:
        return set()
    return {kind for (kind,) in bench.rows(f"SELECT kind FROM pipekit_staging.pipekit_commits WHERE run = '{run}'")}


@dataclass
class Generator:
    """Makes the source's changes and remembers what a whole run must have brought.

    ``w`` is the number of the change that last touched a row, which is the watermark.
    """

    bench: Bench
    strategy: Strategy
    random: Random
    key_sync: bool = False
    change: int = 0
    now: dict[int, Row] = field(default_factory=dict)
    # every version there ever was, which is what append has seen
    ever: list[Row] = field(default_factory=list)
    # what the last change took away
    gone: dict[int, Row] = field(default_factory=dict)

    def begin(self, rows: int) -> None:
        self.bench.at_source("CREATE TABLE s (k int PRIMARY KEY, v text, w int)")
        self._write(range(rows))

    def move_on(self) -> None:
        """Insert some rows and update others; a full refresh and a key_sync also see some go."""
        self.change += 1
        fresh = max(self.now) + 1
        self.ever = self.expected() if self.strategy is Strategy.APPEND else self.ever
        if self.strategy is Strategy.FULL or self.key_sync:
            self._delete(self.random.sample(sorted(self.now), 5))
        self._write([*self.random.sample(sorted(self.now), 20), *range(fresh, fresh + 10)])

    def expected(self) -> list[Row]:
        """What is there after a whole run."""
        if self.strategy is not Strategy.APPEND:
            return list(self.now.values())
        return [row for row in self.ever if not self.key_sync or row[0] in self.now]

    def published(self) -> list[Row]:
        """What is there after a run that died before its key_sync deleted."""
        if self.strategy is Strategy.APPEND:
            return list(self.ever)
        kept = self.gone if self.key_sync else {}
        return [*self.now.values(), *kept.values()]

    def plan(self, **changes: Any) -> Plan:
        settings = {
            "strategy": self.strategy,
            "merge_key": ("k",) if self.strategy in MERGING or self.key_sync else (),
            "watermark": "" if self.strategy is Strategy.FULL else "w",
            "key_sync": self.key_sync,
        }
        return self.bench.plan(QUERY, **settings, **changes)

    def _write(self, keys: Iterable[int]) -> None:
        rows = [(key, f"v{key}.{self.random.randrange(10**9)}", self.change) for key in keys]
        self.now.update((row[0], row) for row in rows)
        self.ever += rows
        values = ", ".join(f"({k}, '{v}', {w})" for k, v, w in rows)
        self.bench.at_source(
            f"INSERT INTO s VALUES {values} ON CONFLICT (k) DO UPDATE SET v = excluded.v, w = excluded.w"
        )

    def _delete(self, keys: list[int]) -> None:
        self.bench.at_source(f"DELETE FROM s WHERE k IN ({', '.join(map(str, keys))})")
        self.gone = {key: self.now.pop(key) for key in keys}


def processes_of(log: Path) -> Iterator[int]:
    """Yield the processes that log their fault points there: a run's, and its jrunner's."""
    mark = f"PIPEKIT_FAULT_LOG={log}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            alive = (entry / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
            if alive and mark in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)
        except OSError:
            # it has ended meanwhile
            continue

"""A source table that changes between runs, and the rows that are expected at the destination.

The expected rows are kept in this process, outside both databases. Rows are compared by their number, their keys and an
MD5 of their canonical text; differences are counted as lost and doubled rows. Of the destination's own data only the
table's bytes and the commit records are read.
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
from tests.harness.bench import Bench

Row = tuple[int, str, int]
QUERY = "SELECT k, v, w FROM s"
STORED_QUERY = "SELECT k, v, w FROM sync.t"
MERGING = (Strategy.INCREMENTAL, Strategy.UPSERT)


@dataclass(frozen=True, slots=True)
class Digest:
    """Number, keys and checksum of rows. ``keys`` are (k, w), since an append keeps every version of a row."""

    count: int
    keys: frozenset[tuple[int, int]]
    checksum: str


def digest(rows: Iterable[Row]) -> Digest:
    """Return the digest of the rows, whatever their order."""
    ordered = sorted(rows)
    text = "\n".join(f"{k}\t{v}\t{w}" for k, v, w in ordered)
    return Digest(len(ordered), frozenset((k, w) for k, _, w in ordered), md5(text.encode()).hexdigest())


def count_differences(expected: Iterable[Row], actual: Iterable[Row]) -> tuple[int, int]:
    """Return how many rows are missing and how many are surplus."""
    expected_counts, actual_counts = Counter(expected), Counter(actual)
    return (expected_counts - actual_counts).total(), (actual_counts - expected_counts).total()


def stored_rows(bench: Bench) -> list[Row]:
    """Return the rows of the destination table."""
    return [(k, v, w) for k, v, w in bench.rows(STORED_QUERY)]


def table_bytes(bench: Bench) -> bytes:
    """Return the destination table as the server stores it, with the position of each row; empty without a table."""
    with psycopg.connect(bench.destination.url) as connection:
        if connection.execute("SELECT to_regclass('sync.t')").fetchone() == (None,):
            return b""
        copy = "COPY (SELECT ctid, * FROM sync.t ORDER BY ctid) TO STDOUT (FORMAT binary)"
        with connection.cursor().copy(copy) as blocks:
            return b"".join(blocks)


def committed_kinds(bench: Bench, run: str) -> set[str]:
    """Return the kinds of the run's commit records at the destination: publish, key_sync."""
    if bench.rows("SELECT to_regclass('pipekit_staging.pipekit_commits')") == [(None,)]:
        return set()
    return {kind for (kind,) in bench.rows(f"SELECT kind FROM pipekit_staging.pipekit_commits WHERE run = '{run}'")}


@dataclass
class Generator:
    """Changes the source table and keeps the rows that a completed run must have published.

    ``w``, the watermark, is the number of the change that last wrote the row.
    """

    bench: Bench
    strategy: Strategy
    random: Random
    key_sync: bool = False
    change: int = 0
    # rows of the source by key
    current: dict[int, Row] = field(default_factory=dict)
    # every version of every row, which is what append publishes
    versions: list[Row] = field(default_factory=list)
    # rows that the last change deleted
    deleted: dict[int, Row] = field(default_factory=dict)

    def create_table(self, rows: int) -> None:
        self.bench.at_source("CREATE TABLE s (k int PRIMARY KEY, v text, w int)")
        self._write(range(rows))

    def change_rows(self) -> None:
        """Insert 10 rows and update 20; if the strategy can notice it, delete 5."""
        self.change += 1
        first_new = max(self.current) + 1
        self.versions = self.expected() if self.strategy is Strategy.APPEND else self.versions
        if self.strategy is Strategy.FULL or self.key_sync:
            self._delete(self.random.sample(sorted(self.current), 5))
        self._write([*self.random.sample(sorted(self.current), 20), *range(first_new, first_new + 10)])

    def expected(self) -> list[Row]:
        """Return the rows of the destination after a completed run."""
        if self.strategy is not Strategy.APPEND:
            return list(self.current.values())
        return [row for row in self.versions if not self.key_sync or row[0] in self.current]

    def expected_before_key_sync(self) -> list[Row]:
        """Return the rows of the destination after a run that has published but died before its key_sync."""
        if self.strategy is Strategy.APPEND:
            return list(self.versions)
        not_yet_deleted = self.deleted if self.key_sync else {}
        return [*self.current.values(), *not_yet_deleted.values()]

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
        self.current.update((row[0], row) for row in rows)
        self.versions += rows
        values = ", ".join(f"({k}, '{v}', {w})" for k, v, w in rows)
        self.bench.at_source(
            f"INSERT INTO s VALUES {values} ON CONFLICT (k) DO UPDATE SET v = excluded.v, w = excluded.w"
        )

    def _delete(self, keys: list[int]) -> None:
        self.bench.at_source(f"DELETE FROM s WHERE k IN ({', '.join(map(str, keys))})")
        self.deleted = {key: self.current.pop(key) for key in keys}


def processes_logging_to(log: Path) -> Iterator[int]:
    """Yield the ids of the living processes that log their fault points to the file: a run's and its jrunner's."""
    variable = f"PIPEKIT_FAULT_LOG={log}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            alive = (entry / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
            if alive and variable in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)
        except OSError:
            # the process has ended meanwhile
            continue

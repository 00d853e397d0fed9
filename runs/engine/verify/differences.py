"""Joins the rows of both sides of segments that differ by key, and counts missing, extra and different rows.

The rows are stored in a DuckDB file in a temporary directory, so that millions of them do not have to fit into memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from typing import Any, Literal

import duckdb
import pyarrow as pa

from connections.sdk.records import dataclass
from connections.sdk.types import DataType, Kind

SideName = Literal["source", "destination"]
_SETTINGS = (
    "SET threads = 1",
    "SET memory_limit = '300MB'",
    "SET preserve_insertion_order = false",
    "SET enable_progress_bar = false",
)
# one row for each key that differs: how often each side has it, and the sums of the row hashes
_JOINED = """
CREATE OR REPLACE TABLE read_{number} AS
WITH rows AS (
  SELECT * FROM added{latest}
), counted AS (
  SELECT key_hash, row_hash, count(*) FILTER (side = 's') AS s, count(*) FILTER (side = 'd') AS d
  FROM rows GROUP BY key_hash, row_hash
), keyed AS (
  SELECT key_hash, {source_rows} AS s, {dest_rows} AS d,
         sum(row_hash::HUGEINT * s) AS s_sum, sum(row_hash::HUGEINT * d) AS d_sum
  FROM counted GROUP BY key_hash
)
SELECT keyed.*, {names}
FROM keyed JOIN (SELECT DISTINCT ON (key_hash) key_hash, {names} FROM rows) USING (key_hash)
WHERE s + d > 0
"""
# rows of one side without an equal row on the other
_SOURCE_ROWS = "sum(s - least(s, d))"
_DEST_ROWS = "sum(d - least(s, d))"
# the same, without keys that the source did not return
_DEST_ROWS_OF_KNOWN_KEYS = f"CASE WHEN sum(s) = 0 THEN 0 ELSE {_DEST_ROWS} END"
# drops rows of the source that are not the latest of their key
_LATEST = """
  QUALIFY side = 'd' OR rank() OVER (PARTITION BY side, key_hash ORDER BY mark DESC NULLS LAST) = 1"""
# any one of the source's rows of a key is enough
_SOURCE_ROWS_ONE_PER_KEY = "CASE WHEN sum(least(s, d)) > 0 THEN 0 ELSE least(sum(s), 1) END"

# the DuckDB types by which the latest of several rows with one key is determined: those that every system orders alike
_ORDER_TYPES = {
    Kind.SMALLINT: "BIGINT",
    Kind.INTEGER: "BIGINT",
    Kind.BIGINT: "BIGINT",
    Kind.REAL: "DOUBLE",
    Kind.DOUBLE: "DOUBLE",
    Kind.DATE: "DATE",
    Kind.TIME: "TIME",
    Kind.TIMESTAMP: "TIMESTAMP",
    Kind.TIMESTAMPTZ: "TIMESTAMPTZ",
}
# the highest precision of DuckDB's DECIMAL
_MAX_PRECISION = 38
_DATED = frozenset({"DATE", "TIMESTAMP", "TIMESTAMPTZ"})
# PostgreSQL writes the era at the end, while DuckDB accepts it only after the date
_DUCKDB_ERA = r"regexp_replace(CAST(mark AS VARCHAR), '^(\S+)(.*) BC$', '\1 (BC)\2')"


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceCounts:
    """Missing, extra and different rows of the destination, and keys that differ only in the last read (changing)."""

    missing: int = 0
    extra: int = 0
    different: int = 0
    changing: int = 0

    @property
    def total(self) -> int:
        return self.missing + self.extra + self.different


@dataclass(frozen=True, slots=True)
class DifferingKey:
    """A key that differs; ``key`` are its columns as text, None for NULL."""

    key_hash: int
    key: tuple[str | None, ...]


class Differences:
    """A context manager that collects both sides' rows of the segments that differ, over several reads.

    With ``one_per_key`` the source may have several rows with one key, of which the destination has the one with the
    highest mark; ``mark`` is the DuckDB type in which marks are compared. With ``partial``, keys that only the
    destination has are no difference.
    """

    def __init__(self, key_columns: int, *, one_per_key: bool = False, mark: str = "", partial: bool = False) -> None:
        self._source_rows = _SOURCE_ROWS_ONE_PER_KEY if one_per_key else _SOURCE_ROWS
        self._dest_rows = _DEST_ROWS_OF_KNOWN_KEYS if partial else _DEST_ROWS
        self._directory = tempfile.TemporaryDirectory(prefix="pipekit-verify-")
        self._duckdb = duckdb.connect(f"{self._directory.name}/rows.duckdb")
        for setting in _SETTINGS:
            self._duckdb.execute(setting)
        self._names = [f"k{number}" for number in range(key_columns)]
        self._mark = mark
        self._reads = 0
        self._create_table()

    def __enter__(self) -> Differences:
        return self

    def __exit__(self, *error: object) -> None:
        self._duckdb.close()
        self._directory.cleanup()

    def add(self, side: SideName, batches: Iterable[pa.RecordBatch]) -> None:
        """Add rows as `Side.hashes` yields them; none is added if the stream fails."""
        self._duckdb.execute("BEGIN")
        try:
            for batch in batches:
                self._duckdb.register("batch", batch)
                self._duckdb.execute(f"INSERT INTO added SELECT '{side[0]}', {self._listed} FROM batch")
        except BaseException:
            self._duckdb.execute("ROLLBACK")
            raise
        self._duckdb.execute("COMMIT")

    def finish_read(self) -> None:
        """Compare the rows added since the last call."""
        parts = {
            "latest": _LATEST if self._mark else "",
            "source_rows": self._source_rows,
            "dest_rows": self._dest_rows,
        }
        self._duckdb.execute(_JOINED.format(number=self._reads, names=", ".join(self._names), **parts))
        self._create_table()
        self._reads += 1

    def unstable(self) -> int:
        """Return how many keys that differ in the last read did not differ in the same way in the read before."""
        new, old = self._last_two()
        return self._fetch_int(
            f"SELECT count(*) FROM {new} n LEFT JOIN {old} o USING (key_hash) WHERE {self._changed}",
        )

    def counts(self) -> DifferenceCounts:
        """Count the rows that differ in both of the last two reads; a key that differs only in the last is changing."""
        sums = self._duckdb.execute(
            "SELECT coalesce(sum(greatest(s - d, 0)), 0), coalesce(sum(greatest(d - s, 0)), 0),"
            f" coalesce(sum(least(s, d)), 0) FROM {self._stable}"
        ).fetchone()
        assert sums is not None
        missing, extra, different = map(int, sums)
        new, old = self._last_two()
        changing = self._fetch_int(f"SELECT count(*) FROM {new} ANTI JOIN {old} USING (key_hash)")
        return DifferenceCounts(missing=missing, extra=extra, different=different, changing=changing)

    def keys(self, kind: Literal["missing", "extra", "different"], *, limit: int) -> list[DifferingKey]:
        """Return the keys of one kind of difference, at most ``limit``, in the order of their texts."""
        condition = {"missing": "s > d", "extra": "d > s", "different": "least(s, d) > 0"}[kind]
        names = ", ".join(self._names)
        rows = self._duckdb.execute(
            f"SELECT key_hash, {names} FROM {self._stable} WHERE {condition}"
            f" ORDER BY {', '.join(f'length({name}), {name}' for name in self._names)} LIMIT {limit}"
        ).fetchall()
        return [DifferingKey(int(row[0]), tuple(row[1:])) for row in rows]

    def key_values(self, position: int, *, limit: int) -> list[str | None] | None:
        """Return the distinct values of one key column of all differing keys; None if there are more than ``limit``."""
        rows = self._duckdb.execute(f"SELECT DISTINCT k{position} FROM {self._stable} LIMIT {limit + 1}").fetchall()
        return None if len(rows) > limit else [row[0] for row in rows]

    _changed = "o.key_hash IS NULL OR (n.s, n.d, n.s_sum, n.d_sum) IS DISTINCT FROM (o.s, o.d, o.s_sum, o.d_sum)"

    @property
    def _stable(self) -> str:
        new, old = self._last_two()
        return f"(SELECT n.* FROM {new} n SEMI JOIN {old} o USING (key_hash))"

    def _last_two(self) -> tuple[str, str]:
        return f"read_{self._reads - 1}", f"read_{max(self._reads - 2, 0)}"

    @property
    def _listed(self) -> str:
        # a value that DuckDB cannot parse becomes NULL, the lowest mark
        mark = [f"TRY_CAST({_DUCKDB_ERA if self._mark in _DATED else 'mark'} AS {self._mark})"] if self._mark else []
        return ", ".join(["key_hash", "row_hash", *self._names, *mark])

    def _create_table(self) -> None:
        fields = "".join(f", {name} VARCHAR" for name in self._names) + (f", mark {self._mark}" if self._mark else "")
        self._duckdb.execute(f"CREATE OR REPLACE TABLE added (side VARCHAR, key_hash BIGINT, row_hash BIGINT{fields})")

    def _fetch_int(self, sql: str) -> int:
        row: tuple[Any, ...] | None = self._duckdb.execute(sql).fetchone()
        assert row is not None
        return int(row[0])


def order_type(data_type: DataType) -> str:
    """Return the DuckDB type that orders the values; empty for types, such as text, that systems order differently.

    Decimals without a precision are compared as DOUBLE: two that are equal as DOUBLE are both the latest.
    """
    if data_type.kind is Kind.DECIMAL:
        if data_type.precision is None or data_type.precision > _MAX_PRECISION:
            return "DOUBLE"
        return f"DECIMAL({data_type.precision},{data_type.scale or 0})"
    return _ORDER_TYPES.get(data_type.kind, "")

"""Compares two sides: first digests of buckets, then, at least twice, the rows of the buckets that differ.

The algorithm is that of data-diff (https://github.com/datafold/data-diff): for equal tables each side hashes its rows
and only digests cross the network; segments that differ are divided until few rows are left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Any, Self, TypeVar

from connections.sdk.errors import StatementStopped
from connections.sdk.protocols import ReadAgain
from runs.engine.segments import Grid, HashGrid, RangeGrid, Segment, is_range_key
from runs.engine.verify.differences import Differences, DifferingKey, SideName, order_type
from runs.engine.verify.equal_keys import KeyMatcher, pair_respelled
from runs.engine.verify.pace import Pace
from runs.engine.verify.result import EXAMPLES, ComparisonResult, DifferentValue, Leaf, Rows, different_values
from runs.engine.verify.side import ComparisonSpec, Digest, Side

T = TypeVar("T")
_BUCKETS = 1024
_HASH_BUCKETS = 4096
# a segment with at most so many rows is read instead of being divided further
_LEAF_ROWS = 20_000
_MAX_DEPTH = 4
# if there are more segments, the one that contains them is read
_MAX_LEAVES = 100
# the rows that differ are read until two successive reads agree, at most so often
_MAX_READS = 4
# each key is a condition in the repair's statements, and SQLite nests at most 1000
_MAX_KEYS = 500
# seconds after which a statement that still runs is stopped again
_STOP_AGAIN = 5.0

Digests = dict[int, Digest]


class Comparison:
    """The comparison of two sides, for one call of `compare_ranges` or `compare_table`; a context manager.

    ``progress`` is called with the number of source rows compared so far. ``key_matcher`` matches keys that the
    destination considers equal.
    """

    def __init__(
        self,
        source: Side,
        destination: Side,
        spec: ComparisonSpec,
        *,
        pace: Pace,
        progress: Callable[[int], None],
        key_matcher: KeyMatcher,
    ) -> None:
        self._sides: dict[SideName, Side] = {"source": source, "destination": destination}
        self._spec, self._pace, self._progress = spec, pace, progress
        self._key_matcher, self._is_hash_sample = key_matcher, False
        self._result = ComparisonResult()
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="verify")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._threads.shutdown()

    def compare_ranges(self, parts: Sequence[tuple[int, int]], *, whole: bool) -> ComparisonResult:
        """Compare ranges of the key (low inclusive, high exclusive); with ``whole`` also all rows outside of them."""
        for low, high in parts:
            self._compare_range(low, high, whole=whole)
        return self._read_differences()

    def compare_table(self, buckets: frozenset[int] | None = None, *, count: int = _HASH_BUCKETS) -> ComparisonResult:
        """Compare the whole table, or only some of its ``count`` buckets, with one statement on each side."""
        segment, grid = Segment(buckets=buckets), HashGrid(count=count)
        self._is_hash_sample = buckets is not None
        source, destination = self._digests(segment, grid)
        if differing := _differing(source, destination):
            are_few = len(differing) <= len(source | destination) // 2
            to_read = frozenset(differing) if are_few else buckets
            rows = max(sum(d.rows for b, d in side.items() if b in differing) for side in (source, destination))
            few = are_few and rows <= _LEAF_ROWS
            self._result.leaves = [Leaf(segment=Segment(buckets=to_read), grid=grid, few=few)]
        return self._read_differences()

    def _compare_range(self, low: int, high: int, *, whole: bool) -> None:
        # the ranges of a sample are small, so they are not divided
        position, width = low, self._pace.first_width(high - low) if whole else high - low
        while True:
            end = min(position + width, high)
            segment = Segment(
                low=None if whole and position == low else position,
                high=None if whole and end >= high else end,
                nulls=whole and position == low,
            )
            grid = RangeGrid.over(position, max(end, position + 1), count=_BUCKETS)
            started = time.monotonic()
            try:
                source, destination = self._digests(segment, grid)
            except StatementStopped:
                if width == 1:
                    raise
                width = max(1, width // 4)
                continue
            width = self._pace.next_width(width, seconds=time.monotonic() - started)
            self._result.leaves += self._leaves(segment, grid, source, destination, depth=1)
            if end >= high:
                return
            position = end

    def _leaves(
        self, segment: Segment, grid: RangeGrid, source: Digests, destination: Digests, *, depth: int
    ) -> list[Leaf]:
        """Return the segments to read: those of the differing buckets, divided while they are large."""
        differing = _differing(source, destination)
        if not differing:
            return []
        leaves: list[Leaf] = []
        for part in grid.segments(differing):
            inner = _within(part, segment)
            rows = max(_rows_of(side, grid, inner) for side in (source, destination))
            if inner.low is None or inner.high is None:
                leaves.append(Leaf(segment=inner, grid=grid))
                continue
            if rows <= _LEAF_ROWS or depth == _MAX_DEPTH or inner.span == 1:
                leaves.append(Leaf(segment=inner, grid=grid, few=rows <= _LEAF_ROWS))
                continue
            if inner.span and inner.span * 2 > grid.width * grid.count:
                return [Leaf(segment=segment, grid=grid)]
            finer = RangeGrid.over(inner.low, inner.high, count=_BUCKETS)
            digests = self._digests(inner, finer, counted=False)
            leaves += self._leaves(inner, finer, *digests, depth=depth + 1)
        return leaves if len(leaves) <= _MAX_LEAVES else [Leaf(segment=segment, grid=grid)]

    def _digests(self, segment: Segment, grid: Grid, *, counted: bool = True) -> tuple[Digests, Digests]:
        self._pace.wait()
        source, destination = self._both(lambda side: side.digest(segment, grid))
        if counted:
            self._result.source_rows += sum(digest.rows for digest in source.values())
            self._result.dest_rows += sum(digest.rows for digest in destination.values())
            self._progress(self._result.source_rows)
        return source, destination

    def _both(self, call: Callable[[Side], T]) -> tuple[T, T]:
        """Call a function for both sides concurrently; if one call fails, stop the other side and raise its error."""
        futures = {self._threads.submit(call, side): side for side in self._sides.values()}
        try:
            ended = wait(futures, return_when=FIRST_EXCEPTION).done
            for future in futures:
                if future in ended:
                    future.result()
        finally:
            _stop(futures)
        source, destination = (future.result() for future in futures)
        return source, destination

    def _read_differences(self) -> ComparisonResult:
        """Read the rows of every leaf until two successive reads agree; return the result with its counts."""
        result = self._result
        if not result.leaves:
            return result
        spec = self._spec
        mark = "" if spec.latest_by is None else order_type(spec.columns[spec.latest_by].data_type)
        with Differences(
            len(spec.key_positions), one_per_key=spec.one_per_key, mark=mark, partial=spec.partial
        ) as differences:
            self._read(differences)
            for _ in range(1, _MAX_READS):
                time.sleep(self._pace.seconds_between_reads)
                self._read(differences)
                if not differences.unstable():
                    break
            result.counts = differences.counts()
            result.missing = differences.keys("missing", limit=EXAMPLES)
            result.extra = differences.keys("extra", limit=EXAMPLES)
            if (column := self._spec.range_column) is not None:
                position = self._spec.key_positions.index(column)
                keys = differences.key_values(position, limit=_MAX_KEYS)
                result.range_keys = keys if all(key is None or is_range_key(key) for key in keys or ()) else None
            result.different = self._values(differences.keys("different", limit=EXAMPLES))
            if self._key_matcher.is_needed:
                pair_respelled(differences, self._key_matcher, result, self._spec, is_hash_sample=self._is_hash_sample)
        return result

    def _read(self, differences: Differences) -> None:
        for leaf in self._result.leaves:
            self._pace.wait()
            for name, side in self._sides.items():
                _add(differences, name, side, leaf)
        differences.finish_read()

    def _values(self, keys: Sequence[DifferingKey]) -> list[DifferentValue]:
        def read_values(segment: Segment, grid: Grid, hashes: Sequence[int]) -> tuple[Rows, Rows]:
            self._pace.wait()
            return self._both(lambda side: side.values(segment, grid, hashes))

        # without ranges there is one leaf, which contains all keys
        ranged = self._spec.range_column is not None
        leaf = Leaf(segment=Segment(), grid=HashGrid(count=1)) if ranged else self._result.leaves[0]
        return different_values(keys, self._spec, segment=leaf.segment, grid=leaf.grid, read_values=read_values)


def _stop(futures: Mapping[Future[Any], Side]) -> None:
    """Stop the sides whose call has not ended, and wait until it has.

    Without a limit, because a side must not be closed while a statement of it is running. Stopping is repeated: it has
    no effect between two statements of a call.
    """
    stopped = set[Future[Any]]()
    while running := {future for future in futures if not future.done()}:
        for future in running:
            futures[future].stop()
        stopped |= running
        wait(running, timeout=_STOP_AGAIN)
    for future in stopped:
        futures[future].resume()


def _differing(source: Digests, destination: Digests) -> set[int]:
    return {bucket for bucket in source.keys() | destination.keys() if source.get(bucket) != destination.get(bucket)}


def _within(part: Segment, segment: Segment) -> Segment:
    """Return the intersection of a grid's part with the segment, because a grid may extend beyond its end."""
    high = part.high
    if part.span != 0 and segment.high is not None:
        high = segment.high if high is None else min(high, segment.high)
    return Segment(low=part.low, high=high, nulls=part.nulls)


def _rows_of(digests: Digests, grid: RangeGrid, part: Segment) -> int:
    """Return the number of rows in a part that consists of whole buckets; 0 if it is unbounded."""
    if part.low is None or part.high is None:
        return 0
    first, last = (part.low - grid.low) // grid.width, (part.high - 1 - grid.low) // grid.width
    return sum(digest.rows for bucket, digest in digests.items() if first <= bucket <= last)


def _add(differences: Differences, name: SideName, side: Side, leaf: Leaf) -> None:
    """Add the rows of a leaf, reading again if the side's reader was not exact."""
    while True:
        try:
            differences.add(name, side.hashes(leaf.segment, leaf.grid, few=leaf.few))
            return
        except ReadAgain:
            # the side's next read is more careful, and `add` has stored nothing
            continue

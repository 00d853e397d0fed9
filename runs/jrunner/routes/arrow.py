"""The arrow route: a reader thread puts exact Arrow batches into a short queue, from which the writer takes them."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa

from connections.registry import connector
from connections.sdk.arrow import compute as pc
from connections.sdk.arrow.text_search import has_nul
from connections.sdk.capabilities import Cap
from connections.sdk.protocols import Batches, ReadAgain, Writer
from connections.sdk.row_counts import TransferResult, check_counts
from runs.jrunner.cancel import Cancellation
from runs.jrunner.job import Job
from runs.jrunner.reporter import Reporter
from runs.jrunner.routes.same_file import mark_same_file

# batches that are read ahead
_QUEUE_SIZE = 4
# seconds between two checks for cancellation while a thread waits for the queue
_POLL = 0.2
# seconds for the reader to stop after `Pump.close`
_CLOSE_TIMEOUT = 5.0


def copy(job: Job, reporter: Reporter, cancellation: Cancellation, *, writer: Writer | None = None) -> TransferResult:
    """Copy all rows of the job in one transaction of the destination, or of ``writer`` if given."""
    source, destination = mark_same_file(job.source, job.destination)
    job = replace(job, source=source, destination=destination)
    reader = connector(job.source.kind, Cap.READ).reader
    writer = writer or connector(job.destination.kind, Cap.WRITE).writer
    assert reader is not None and writer is not None
    while True:
        transforms = Transforms(job)
        pump = Pump(
            reader.read(job.source, job.query, job.columns, batch_bytes=job.batch_bytes),
            transforms,
            reporter=reporter,
            cancellation=cancellation,
            writes_here=writer.works_here,
        )
        reporter.is_busy = pump.is_busy
        try:
            result = _write(job, writer, pump)
        except ReadAgain as again:
            reporter.log(f"reading again: {again.why}")
            reader = again.reader
            continue
        for warning in transforms.warnings():
            reporter.warning(warning)
        return result


def _write(job: Job, writer: Writer, pump: Pump) -> TransferResult:
    with contextlib.closing(pump):
        written = writer.write(job.target, pump)
    return TransferResult(read=pump.rows, written=written, size=pump.size)


class Transforms:
    """The transforms of one job, applied to its batches in order; counts the values from which NUL was removed."""

    def __init__(self, job: Job) -> None:
        self.trims = job.trim
        self.strips = job.options.get("nul_bytes") == "strip"
        self.stripped: dict[str, int] = {}

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch with transformed text columns."""
        if not (self.trims or self.strips):
            return batch
        arrays = [self._column(batch.column(i), batch.schema.field(i)) for i in range(batch.num_columns)]
        return pa.record_batch(arrays, schema=batch.schema)

    def warnings(self) -> list[str]:
        return [
            f"NUL bytes were removed from {count} values of column “{name}”." for name, count in self.stripped.items()
        ]

    def _column(self, array: pa.Array, field: pa.Field) -> pa.Array:
        if not pa.types.is_string(field.type):
            return array
        if self.strips and has_nul(array):
            count = pc.sum(pc.match_substring(array, "\0")).as_py()
            self.stripped[field.name] = self.stripped.get(field.name, 0) + count
            array = pc.replace_substring(array, "\0", "")
        return pc.utf8_rtrim(array, characters=" ") if self.trims else array


class Pump:
    """Batches read ahead by a thread. An error of the reader is raised in the iterating thread, in order."""

    def __init__(
        self,
        batches: Batches,
        transforms: Transforms,
        *,
        reporter: Reporter,
        cancellation: Cancellation,
        writes_here: bool,
    ) -> None:
        self.batches = batches
        self.schema: pa.Schema = batches.schema
        self.transforms = transforms
        self.reporter = reporter
        self.cancellation = cancellation
        self.rows = 0
        self.size = 0
        self.writes_here = writes_here
        # whether the reader waits for the writer, and the writer for the reader
        self._reader_waits, self._writer_waits = False, False
        self._queue: queue.Queue[pa.RecordBatch | BaseException | None] = queue.Queue(_QUEUE_SIZE)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._read, name="reader", daemon=True)
        cancellation.on_request(batches.close)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        self._thread.start()
        while (item := self._next()) is not None:
            if isinstance(item, BaseException):
                self.cancellation.check()
                raise item
            if not self.rows and (method := getattr(self.batches, "method", "")):
                self.reporter.log(f"reading with {method}")
            self.rows += item.num_rows
            self.size += item.nbytes
            yield item
            del item
            self.reporter.progress(self.rows, self.size)
        # every row that the reader counted must have been handed to the writer
        check_counts(self.batches.rows, self.rows)

    def close(self) -> None:
        """Stop reading, and wait a few seconds for the source to be released unless the transfer was cancelled."""
        self._closed.set()
        self.batches.close()
        if self._thread.is_alive() and not self.cancellation.requested.is_set():
            self._thread.join(_CLOSE_TIMEOUT)

    def is_busy(self) -> bool:
        """Return whether the reader waits for a busy source, or this process is writing; called while nothing moves."""
        if self._thread.is_alive() and not self._reader_waits:
            return self.batches.is_busy()
        return self.writes_here and not self._writer_waits

    def _next(self) -> pa.RecordBatch | BaseException | None:
        self._writer_waits = True
        try:
            while True:
                self.cancellation.check()
                with contextlib.suppress(queue.Empty):
                    return self._queue.get(timeout=_POLL)
        finally:
            self._writer_waits = False

    def _read(self) -> None:
        try:
            for batch in self.batches:
                if not self._put(self.transforms.apply(batch)):
                    return
            self._put(None)
        except BaseException as error:  # raised again in the iterating thread
            self._put(error)

    def _put(self, item: pa.RecordBatch | BaseException | None) -> bool:
        self._reader_waits = True
        try:
            while not self._closed.is_set() and not self.cancellation.requested.is_set():
                with contextlib.suppress(queue.Full):
                    self._queue.put(item, timeout=_POLL)
                    return True
            return False
        finally:
            self._reader_waits = False

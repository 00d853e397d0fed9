"""The arrow route: a reader thread fills a short queue with exact Arrow batches, the writer empties it."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa

from connections.registry import connector
from connections.sdk.arrow.counts import check_counts
from connections.sdk.capabilities import Cap
from connections.sdk.protocols import Batches, Writer
from connections.sdk.retry_read import ReadAgain
from runs.jrunner.cancel import Cancellation
from runs.jrunner.job import Job
from runs.jrunner.moved import Moved
from runs.jrunner.progress import Reporter
from runs.jrunner.transforms import Shaping

_QUEUE = 4
_PATIENCE = 0.2
_RELEASE = 5.0


def copy(job: Job, reporter: Reporter, cancellation: Cancellation, *, writer: Writer | None = None) -> Moved:
    """Move all rows of the job in one transaction of the destination (or of ``writer``, when given)."""
    job = _knowing_one_file(job)
    reader = connector(job.source.kind, Cap.READ).reader
    writer = writer or connector(job.destination.kind, Cap.WRITE).writer
    assert reader is not None and writer is not None
    while True:
        shaping = Shaping(job)
        pump = Pump(
            reader.read(job.source, job.query, job.columns, batch_bytes=job.batch_bytes),
            shaping,
            reporter=reporter,
            cancellation=cancellation,
            writes_here=writer.works_here,
        )
        reporter.at_work = pump.is_busy
        try:
            moved = _moved(job, writer, pump)
        except ReadAgain as again:
            reporter.log(f"reading again: {again.why}")
            reader = again.reader
            continue
        for warning in shaping.warnings():
            reporter.warning(warning)
        return moved


def _moved(job: Job, writer: Writer, pump: Pump) -> Moved:
    with contextlib.closing(pump):
        written = writer.write(job.destination, job.table, job.columns, pump, clear=job.clear, claim=job.claim)
    return Moved(read=pump.rows, written=written, size=pump.size)


def _knowing_one_file(job: Job) -> Job:
    """Tell reader and writer when they share one file, which some systems lock."""
    if (job.source.kind, job.source.url) != (job.destination.kind, job.destination.url):
        return job
    return replace(
        job,
        source=replace(job.source, options={**job.source.options, "same_file": True}),
        destination=replace(job.destination, options={**job.destination.options, "same_file": True}),
    )


class Pump:
    """Batches read ahead by a thread. An error of the reader is raised in the iterating thread, at its place."""

    def __init__(
        self,
        batches: Batches,
        shaping: Shaping,
        *,
        reporter: Reporter,
        cancellation: Cancellation,
        writes_here: bool,
    ) -> None:
        self.batches = batches
        self.schema: pa.Schema = batches.schema
        self.shaping = shaping
        self.reporter = reporter
        self.cancellation = cancellation
        self.rows = 0
        self.size = 0
        self.writes_here = writes_here
        # the reader waits for the writer, the writer for the reader
        self._full, self._empty = False, False
        self._queue: queue.Queue[pa.RecordBatch | BaseException | None] = queue.Queue(_QUEUE)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._read, name="reader", daemon=True)
        cancellation.calls(batches.close)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        self._thread.start()
        while (item := self._next()) is not None:
            if isinstance(item, BaseException):
                self.cancellation.check()
                raise item
            self.rows += item.num_rows
            self.size += item.nbytes
            yield item
            del item
            self.reporter.progress(self.rows, self.size)
        # the reader's trailer: everything it read has come through
        check_counts(self.batches.rows, self.rows)

    def close(self) -> None:
        """Stop reading; wait a moment until the source is released, but not for a source that does not listen."""
        self._closed.set()
        self.batches.close()
        if self._thread.is_alive() and not self.cancellation.requested.is_set():
            self._thread.join(_RELEASE)

    def is_busy(self) -> bool:
        """Whether the source is waited for and at work, or this process writes; for when nothing moves."""
        if self._thread.is_alive() and not self._full:
            return self.batches.is_busy()
        return self.writes_here and not self._empty

    def _next(self) -> pa.RecordBatch | BaseException | None:
        self._empty = True
        try:
            while True:
                self.cancellation.check()
                with contextlib.suppress(queue.Empty):
                    return self._queue.get(timeout=_PATIENCE)
        finally:
            self._empty = False

    def _read(self) -> None:
        try:
            for batch in self.batches:
                if not self._put(self.shaping.shaped(batch)):
                    return
            self._put(None)
        except BaseException as error:  # handed to the thread that iterates
            self._put(error)

    def _put(self, item: pa.RecordBatch | BaseException | None) -> bool:
        self._full = True
        try:
            while not self._closed.is_set() and not self.cancellation.requested.is_set():
                with contextlib.suppress(queue.Full):
                    self._queue.put(item, timeout=_PATIENCE)
                    return True
            return False
        finally:
            self._full = False

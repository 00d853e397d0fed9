"""From events to record: the one place where what a run tells becomes its row and its log.

Metadata that is busy costs a run nothing but time at its end: what was found is written later, at worst by the spool.
Where that takes nothing either, the next tick settles the run by the destination's commit record.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
import traceback
from types import TracebackType
from typing import Any

from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from connections.sdk.errors import Cancelled, InternalError, PipekitError, Refused
from connections.secrets.redaction import redactor
from runs import logs
from runs.engine import events
from runs.engine.faults import point
from runs.lifecycle import spool
from runs.models import Run
from runs.models.states import IllegalTransition, Status
from runs.settings import setting

_log = logging.getLogger(__name__)
# how often progress reaches the row: often enough to watch, seldom enough for SQLite
_PROGRESS_SECONDS = 2.0
# how long the end of a run is tried to be written before it goes to the spool
_PATIENCE_SECONDS = 120.0
_PUBLISHING = "publish"


class Recorder:
    """Keeps one run's row and log file up to date; use as a context manager, which writes the final state.

    Whatever exception leaves the block becomes the run's error and goes no further; `KeyboardInterrupt` is a cancel.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        # whether a transaction that publishes may have been begun; whether one is known to be committed
        self.publishing = self.published = False
        self._progressed = 0.0
        # of the publish alone, and of what followed it
        self._deleted = 0
        self._reconciled: dict[str, int] = {}
        self._most = setting("run_log_megabytes") * 1_000_000
        # found since the row was last written
        self._found: dict[str, Any] = {}

    def __enter__(self) -> Recorder:
        self.log(f"run {self.run.pk} of {self.run.module_name} ({self.run.strategy}, {self.run.trigger})")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            self._end(Status.DRY_RUN if self.run.dry_run else Status.SUCCESS)
        elif isinstance(error, KeyboardInterrupt):
            self._fail(Cancelled("The run was cancelled; nothing was published after that."))
        elif isinstance(error, PipekitError):
            self._fail(error)
        elif isinstance(error, Exception):
            self.log("".join(traceback.format_exception(kind, error, trace)))
            self._fail(_our_bug(error))
        else:
            return False
        return True

    def log(self, text: str) -> None:
        logs.write(self.run, redactor().text(text))

    def cap_log(self) -> None:
        logs.cap(self.run, most=self._most)

    def record(self, event: events.Event) -> None:
        """Take one event in; the order of events is the order of the log.

        Raises IllegalTransition when the run is no longer this process's.
        """
        match event:
            case events.StepStarted(step):
                self.publishing = self.publishing or step == _PUBLISHING
                self.log(f"{step} ...")
            case events.StepFinished(step, seconds):
                self._keep(steps=[*self.run.steps, {"step": step, "seconds": round(seconds, 3)}])
                self.log(f"{step} done in {seconds:.3f} s")
                self._write()
            case events.RouteChosen(route, why):
                self.log(f"route {route}: {why}")
            case events.Progress(rows, size):
                self._keep(bytes=size, **({} if rows is None else {"read": rows}))
                self._write_now_and_then()
            case events.Staged() | events.Published() | events.Reconciled():
                self._count(event)
            case events.AttemptFailed():
                self._again(event)
            case _:
                self._note(event)

    def _note(self, event: events.Event) -> None:
        run = self.run
        match event:
            case events.WatermarkResolved(name, value):
                self._keep(watermarks={**run.watermarks, name: {"in": value, "out": None}})
                self.log(f"watermark {name} = {value!r}")
            case events.SourceQueryBuilt(sql):
                self._keep(source_query=sql)
                self.log(f"source query:\n{sql}")
            case events.MergeSqlBuilt(sql):
                self._keep(merge_sql=f"{run.merge_sql}\n\n{sql}".strip())
                self.log(f"merge:\n{sql}")
            case events.Warned(message):
                self._keep(warnings=[*run.warnings, _storable(message)])
                self.log(f"warning: {message}")
            case events.Waiting(message):
                self.log(message)

    def _count(self, event: events.Event) -> None:
        match event:
            case events.Staged(rows, size):
                self._keep(read=rows, staged=rows, bytes=size)
                self.log(f"{rows} rows staged, {size} bytes")
            case events.Published():
                self._publish(event)
            case events.Reconciled(deleted, what):
                # what is done again after a failure says the same again
                self._reconciled[what] = deleted
                self._keep(deleted=self._deleted + sum(self._reconciled.values()))
                self.log(f"{what} deleted {deleted} rows")
        self._write()

    def _publish(self, event: events.Published) -> None:
        self.published, self._deleted = True, event.deleted or 0
        self._keep(inserted=event.inserted, updated=event.updated, deleted=event.deleted, published_at=timezone.now())
        if (name := event.watermark_column) in (known := self.run.watermarks):
            self._keep(watermarks={**known, name: {**known[name], "out": event.watermark}})
        how = " (found in the commit record)" if event.recovered else ""
        self.log(f"published{how}: {event.inserted} inserted, {event.updated} updated, {event.deleted} deleted")

    def _again(self, failed: events.AttemptFailed) -> None:
        message = redactor().text(failed.message)
        began = self.run.attempts[-1]["ended"] if self.run.attempts else _iso(self.run.started_at or timezone.now())
        entry = {
            "number": failed.number,
            "started": began,
            "ended": _iso(timezone.now()),
            "code": failed.code,
            "message": message,
            "wait": failed.wait,
        }
        self._keep(attempts=[*(self.run.attempts or []), entry], attempt=failed.number + 1)
        if not self.published:
            self._keep(steps=[], merge_sql="")
        what = "connection" if failed.connecting else "attempt"
        self.log(f"attempt {failed.number} failed: {failed.code}: {message}")
        self.log(f"next {what} in {failed.wait:.1f} s")
        self._write()

    def _keep(self, **found: Any) -> None:
        self._found.update(found)
        for name, value in found.items():
            setattr(self.run, name, value)

    def _write_now_and_then(self) -> None:
        if time.monotonic() - self._progressed >= _PROGRESS_SECONDS:
            self._progressed = time.monotonic()
            self._write()

    def _write(self) -> None:
        found, self._found = self._found, {}
        try:
            if found:
                self.run.record(**found)
        except (DatabaseError, InterfaceError) as error:
            connection.close()
            # with the next, or at the end
            self._found = {**found, **self._found}
            self.log(f"the metadata could not be written now: {error}")

    def _fail(self, error: PipekitError) -> None:
        hidden = {key: _storable(value) for key, value in error.as_dict().items()}
        self.log("\n".join(filter(None, (f"failed: {error.message}", error.hint, error.detail))))
        status = Status.ERROR
        if isinstance(error, Cancelled):
            status = Status.CANCELLED
        elif isinstance(error, Refused):
            status = Status.REFUSED
        self._end(status, error=hidden)

    def _end(self, status: Status, **results: Any) -> None:
        """Write the final state, patiently; whoever settled the run before us is right."""
        point("record.ending")
        results = {**self._found, **results, "finished_at": timezone.now()}
        self._found = {}
        until = time.monotonic() + _PATIENCE_SECONDS
        try:
            while not self._ended(status, results):
                if time.monotonic() > until:
                    self.log(f"ended: {status}; {self._set_aside(status, results)}")
                    break
                time.sleep(1)
            else:
                self.log(f"ended: {status}")
        except IllegalTransition as error:
            if Run.objects.filter(pk=self.run.pk).exists():
                self.run.refresh_from_db()
                self.log(f"ended as {status}, but: {error.message}")
                return
            self.log(f"ended: {status}; the metadata database does not know the run any more")
        for name, value in {**results, "status": status}.items():
            setattr(self.run, name, value)
        point("record.ended")

    def _set_aside(self, status: Status, results: dict[str, Any]) -> str:
        try:
            return f"kept in {spool.keep(self.run, status, results)} for the next tick"
        except OSError as error:
            # whoever looks at the run next finds its process gone, and asks the destination
            _log.error("Run %s ended: %s. That could be written nowhere: %s.", self.run.pk, status, error)
            return f"that could be written nowhere: {error}"

    def _ended(self, status: Status, results: dict[str, Any]) -> bool:
        try:
            self.run.finish(status, **results)
        except (DatabaseError, InterfaceError) as error:
            connection.close()
            self.log(f"the metadata could not be written, trying again: {error}")
            return False
        return True


def _iso(moment: dt.datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _storable(text: str) -> str:
    """Return a text as it may be kept: no secret in it, and no NUL, which PostgreSQL metadata cannot hold."""
    return redactor().text(text).replace("\0", "\\0")


def _our_bug(error: Exception) -> InternalError:
    return InternalError(
        f"Pipekit failed in a way it should not: {type(error).__name__}: {error}",
        hint="The run's log has the details; please report it.",
    )

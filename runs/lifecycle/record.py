"""Records the engine's events in the run's row and log.

If the metadata database is busy or unavailable, values are kept and written with the next event, or with the final
state (see `finish`).
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from types import TracebackType
from typing import assert_never

from django.utils import timezone

from connections.sdk.errors import Cancelled, InternalError, PipekitError, Refused
from connections.sdk.formatting import iso_milliseconds
from connections.secrets.redaction import redactor
from runs import logs
from runs.engine import events
from runs.engine.plan import Plan
from runs.lifecycle import unfinished_steps
from runs.lifecycle.effect import EffectSoFar
from runs.lifecycle.finish import finish_run
from runs.lifecycle.run_row import RunRow
from runs.lifecycle.statements_and_warnings import StatementsAndWarnings
from runs.models import Run
from runs.models.states import Effect, Status
from runs.models.storable import storable

_PUBLISHING, _HOOKS = "publish", "hooks"

_Detail = (
    events.WatermarkResolved
    | events.SourceQueryBuilt
    | events.HookStarted
    | events.HookSucceeded
    | events.HookFailed
    | events.Waiting
)


class Recorder:
    """Keeps the row and the log of one run up to date. As a context manager it writes the final state.

    An exception that leaves the block becomes the run's error and is suppressed; KeyboardInterrupt is a cancel.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._row = RunRow(run, log=self.log)
        self.plan: Plan | None = None
        # whether the publishing transaction may have begun
        self.publishing = False
        self.effect = EffectSoFar()
        # rows deleted by the publish, and by each step after it
        self._deleted = 0
        self._reconciled: dict[str, int] = {}
        self._statements_and_warnings = StatementsAndWarnings(run.warnings, storable=_storable)
        # None until the settings are read, and if that one cannot be read
        self.max_log_bytes: int | None = None

    def set_plan(self, plan: Plan) -> None:
        """Set what is executed. The row names its later steps long before the commit, after which it may be killed."""
        self.plan = plan
        self._row.set(unfinished=unfinished_steps.of_plan(plan))

    @property
    def published(self) -> bool:
        """Whether the commit of the publishing transaction is confirmed."""
        return self.effect.is_published

    def __enter__(self) -> Recorder:
        self.log(f"run {self.run.pk} of {self.run.module_name} ({self.run.strategy}, {self.run.trigger})")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is not None and not isinstance(error, Exception | KeyboardInterrupt):
            return False
        status = Status.DRY_RUN if self.run.dry_run else Status.SUCCESS
        results = self._row.take_unwritten()
        if error is not None:
            failure = self._log_failure(error)
            status = _status_after(failure)
            results["error"] = {key: _storable(value) for key, value in failure.as_dict().items()}
            results["effect"] = None if self.run.dry_run else self.effect.after(failure)
        elif not self.run.dry_run:
            results["effect"] = Effect.PUBLISHED
        finish_run(self.run, status, {**results, "finished_at": timezone.now()}, log=self.log)
        return True

    def _log_failure(self, error: Exception | KeyboardInterrupt) -> PipekitError:
        """Log what left the block, and return it as the run's error."""
        if isinstance(error, PipekitError):
            failure = error
        elif isinstance(error, KeyboardInterrupt):
            failure = Cancelled("The run was cancelled; nothing was published after that.")
        else:
            self.log("".join(traceback.format_exception(error)))
            failure = InternalError.from_exception(error, log="The run's log")
        self.log("\n".join(filter(None, (f"failed: {failure.message}", failure.hint, failure.detail))))
        return failure

    def log(self, text: str) -> None:
        """Append a line to the run's log."""
        logs.write(self.run, text)

    def cap_log(self) -> None:
        """Cut the middle out of a log that exceeds its limit."""
        if self.max_log_bytes is not None:
            logs.cap(self.run, most=self.max_log_bytes)

    def record(self, event: events.Event) -> None:
        """Record one event in the log and the row. Raise IllegalTransition if the run was finalized elsewhere."""
        match event:
            case events.StepStarted(step):
                self.publishing |= step == _PUBLISHING
                if not self.published:
                    self.effect.begin_step(step)
                    # a retry begins with a step only after the destination has no commit record of the run
                    self._statements_and_warnings.settle(is_committed=False)
                    self._set_statements_and_warnings()
                # each hook has lines of its own
                if step != _HOOKS:
                    self.log(f"{step} ...")
            case events.StepFinished(step, seconds):
                self._row.set(steps=[*self.run.steps, {"step": step, "seconds": round(seconds, 3)}])
                if step != _HOOKS:
                    self.log(f"{step} done in {seconds:.3f} s")
                self._row.write()
            case events.RouteChosen():
                self.log(_choice(event))
            case events.MethodChosen(method):
                self._row.set(publish_method=method)
                self.log(_choice(event))
            case events.TransferProgress(rows, size):
                self._row.set(bytes=size, **({} if rows is None else {"read": rows}))
                self._row.write_progress()
            case events.Staged() | events.Published() | events.Reconciled():
                self._record_counts(event)
            case events.MergeSqlBuilt() | events.Warned():
                self._statements_and_warnings.add(event)
                self._set_statements_and_warnings()
                self._log_transaction([event])
            case events.Unconfirmed(transaction):
                self._statements_and_warnings.add_unconfirmed(transaction)
                self._set_statements_and_warnings()
                self._log_transaction(transaction)
                self._row.write()
            case events.AttemptFailed():
                self._record_failed_attempt(event)
            case _:
                self._record_details(event)

    def _record_details(self, event: _Detail) -> None:
        run = self.run
        match event:
            case events.WatermarkResolved(name, value):
                self._row.set(watermarks={**run.watermarks, name: {"in": value, "out": None}})
                bound = f"= {value!r}" if value is not None else "has no value, so it does not limit the query"
                self.log(f"watermark {name} {bound}")
            case events.SourceQueryBuilt(sql, reason):
                self._row.set(source_query=sql)
                if reason:
                    self.log(f"the query becomes a subquery, so that a condition can be added; reason: {reason}")
                self.log(f"source query:\n{sql}")
            case events.HookStarted(number, run_on, where):
                self.effect.begin_hook()
                self.log(f"hook {number} ({run_on}) on {where} ...")
            case events.HookSucceeded(number):
                self._end_step(event)
                self.log(f"hook {number} done")
            case events.HookFailed():
                self._end_step(event)
            case events.Waiting(message):
                self.log(message)
            case _:
                assert_never(event)

    def _end_step(self, event: unfinished_steps.StepEnd) -> None:
        if self.run.unfinished:
            self._row.set(unfinished=unfinished_steps.left_after(event, self.run.unfinished))
            self._row.write()

    def _log_transaction(self, transaction: Sequence[events.TransactionEvent]) -> None:
        for event in transaction:
            match event:
                case events.MergeSqlBuilt(sql):
                    self.log(f"merge:\n{sql}")
                case events.Warned(message):
                    self.log(f"warning: {message}")
                case _:
                    self.log(_choice(event))

    def _set_statements_and_warnings(self) -> None:
        """Set the fields that differ."""
        collected = self._statements_and_warnings
        values = {"merge_sql": collected.merge_sql, "warnings": collected.warnings}
        self._row.set(**{name: value for name, value in values.items() if getattr(self.run, name) != value})

    def _record_counts(self, event: events.Staged | events.Published | events.Reconciled) -> None:
        match event:
            case events.Staged(rows, size):
                self._row.set(read=rows, staged=rows, bytes=size)
                self.log(f"{rows} rows staged, {size} bytes")
            case events.Published():
                self._record_published(event)
            case events.Reconciled(deleted, what, recovered):
                self._statements_and_warnings.settle(is_committed=recovered)
                self._set_statements_and_warnings()
                # replaced, not added: a step that is retried reports its count again
                self._reconciled[what] = deleted
                self._end_step(event)
                self._row.set(deleted=self._deleted + sum(self._reconciled.values()))
                self.log(f"{what} deleted {deleted} rows")
        self._row.write()

    def _record_published(self, event: events.Published) -> None:
        self.effect.is_published, self._deleted = True, event.deleted or 0
        self._row.set(
            inserted=event.inserted,
            updated=event.updated,
            deleted=event.deleted,
            kept_bytes=event.kept_bytes,
            published_at=timezone.now(),
        )
        if (name := event.watermark_column) in (watermarks := self.run.watermarks):
            self._row.set(watermarks={**watermarks, name: {**watermarks[name], "out": event.watermark}})
        self._statements_and_warnings.settle(is_committed=event.recovered)
        self._set_statements_and_warnings()
        how = " (found in the commit record)" if event.recovered else ""
        self.log(f"published{how}: {event.inserted} inserted, {event.updated} updated, {event.deleted} deleted")

    def _record_failed_attempt(self, failed: events.AttemptFailed) -> None:
        message = redactor().text(failed.message)
        now, earlier = timezone.now(), self.run.attempts or []
        attempt = {
            "number": failed.number,
            "started": earlier[-1]["ended"] if earlier else iso_milliseconds(self.run.started_at or now),
            "ended": iso_milliseconds(now),
            "code": failed.code,
            "message": message,
            "wait": failed.wait,
        }
        self._row.set(attempts=[*earlier, attempt], attempt=failed.number + 1)
        if not self.published:
            self._statements_and_warnings.drop_statements()
            self._row.set(steps=[])
            self._set_statements_and_warnings()
        what = "connection try" if failed.connecting else "attempt"
        self.log(f"{failed} failed: {failed.code}: {message}")
        self.log(f"next {what} in {failed.wait:.1f} s")
        self._row.write()


def _choice(event: events.RouteChosen | events.MethodChosen) -> str:
    """Return the line of the log about a choice and its reason."""
    chosen = f"route {event.route}" if isinstance(event, events.RouteChosen) else f"publish method {event.method}"
    return f"{chosen}: {event.why}" if event.why else chosen


def _status_after(failure: PipekitError) -> Status:
    if isinstance(failure, Cancelled):
        return Status.CANCELLED
    return Status.REFUSED if isinstance(failure, Refused) else Status.ERROR


def _storable(text: str) -> str:
    """Return a text as it is in the row: without secrets, and without characters that cannot be stored."""
    return str(storable(redactor().text(text)))

"""Executes one verification in this process: compares, repairs if requested, records the result."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, InterfaceError, connection

from connections.sdk import lock_wait_reports
from connections.sdk.errors import Cancelled, InternalError, PipekitError
from connections.sdk.formatting import counted
from connections.secrets.redaction import redactor
from modules.models import Module
from runs import logs
from runs.engine.faults import point
from runs.lifecycle import signals
from runs.lifecycle.build_plan import build_plan
from runs.lifecycle.execute import execute_run
from runs.lifecycle.heartbeat import Heartbeat
from runs.lifecycle.insert import RunRequest, insert_run
from runs.lifecycle.metadata_retry import retry_metadata
from runs.models import Run
from runs.models.execution import StartedBy
from runs.models.setting import current_settings
from runs.models.states import Status
from runs.models.verification import Verification, VerificationStatus
from runs.verifications.record import finish_verification, progress_recorder
from runs.verifications.report import verification_summary
from runs.verifications.results import result_fields
from runs.verifications.scope import scope_command, scope_words

if TYPE_CHECKING:  # only a comparison imports DuckDB and Arrow
    from runs.engine.verify.verify import Options, VerificationResult


def execute_verification(
    verification: Verification, *, show: Callable[[str], object] = lambda text: None
) -> Verification:
    """Execute the verification and return it in its final state; errors are recorded in it and not raised.

    If a step after the comparison fails, such as the repair, the status is `different`, with the error. ``show`` is
    called with progress only; progress and result are both logged.
    """
    log = VerificationLog(verification, show)
    results: dict[str, Any] = {}
    try:
        signals.end_deferral()
        log(f"comparing {scope_words(verification)}")
        with Heartbeat(verification) as heartbeat, lock_wait_reports.reported_to(log):
            heartbeat.interval = retry_metadata(current_settings).heartbeat_seconds
            _verify(verification, results, log)
            signals.shield()
            status = VerificationStatus.DIFFERENT if _differs(results) else VerificationStatus.EQUAL
            finish_verification(verification, status, log, **results)
    except KeyboardInterrupt:
        signals.shield()
        _fail(verification, Cancelled("The verification was cancelled.", hint="Start it again."), results, log)
    except PipekitError as error:
        _fail(verification, error, results, log)
    except Exception as error:
        log.write("".join(traceback.format_exception(error)))
        _fail(verification, InternalError.from_exception(error, log="The log"), results, log)
    log.write(verification_summary(verification))
    return verification


def invalid_option(module: Module, options: dict[str, Any]) -> PipekitError | None:
    """Return why options of a verification that is not yet begun do not fit the module; see the engine's function.

    Return None if the metadata fails or a setting is invalid, too: the verification itself reports that.
    """
    # imported here: only a comparison needs DuckDB and Arrow
    from runs.engine.verify import verify

    if not (options.get("columns") or options.get("since")):
        return None
    try:
        plan = build_plan(module)
        parsed = _options(Verification(options=options))
    except (PipekitError, DatabaseError, InterfaceError):
        connection.close_if_unusable_or_obsolete()
        return None
    return verify.invalid_option(plan, parsed)


def _verify(verification: Verification, results: dict[str, Any], log: VerificationLog) -> None:
    """Compare, and repair if requested; ``results``, the fields of the row, is filled as they become known."""
    # imported here: only a comparison needs DuckDB and Arrow
    from runs.engine.verify.plan_repair import why_rows_are_kept, why_useless
    from runs.engine.verify.verify import verify_module

    module = verification.module
    assert module is not None, "a module is verified while it exists"
    plan, options = retry_metadata(lambda: (build_plan(module), _options(verification)))
    result = verify_module(plan, options, log=log, progress=progress_recorder(verification))
    results |= result_fields(result)
    point("verification.compared")
    if not result.comparison.counts.total:
        return
    if not verification.repair:
        useless = why_useless(plan, result)
        results["compared"]["repairable"] = not useless
        results["warnings"] += [useless] if useless else []
        return
    run = _repair(verification, module, result, results, log)
    if run.status != Status.SUCCESS:
        results["error"] = _error_of(run, verification)
        log.write(f"repair {run.status}: {results['error']['message']}\n{results['error']['hint']}")
        return
    point("verification.repaired")
    # the same sample again: only its rows were repaired
    left = verify_module(plan, replace(options, same=result.sample, sample=0), log=log)
    after = left.comparison.counts
    if after.total:
        verb = "is" if after.missing == 1 else "are"
        text = (
            f"After the repair {counted(after.missing)} {verb} missing, {after.extra:,} extra, {after.different:,}"
            " different."
        )
        results["warnings"] += [" ".join(filter(None, (text, why_rows_are_kept(plan, left))))]
        results["repaired"]["left"] = after.total


def _error_of(run: Run, verification: Verification) -> dict[str, str]:
    """Return the run's error; for a safety limit with the command that overrides it in the hint."""
    error = dict(run.error or {"code": "internal", "message": f"Run {run.pk} ended as {run.status}.", "hint": ""})
    if run.status == Status.REFUSED:
        command = scope_command(verification, repair=True, force=True)
        error["hint"] = f"{error['hint']} The whole command: {command}"
    return {name: str(error.get(name) or "") for name in ("code", "message", "hint", "detail")}


def _options(verification: Verification) -> Options:
    from runs.engine.verify.pace import Pace
    from runs.engine.verify.verify import Options

    options, settings = verification.options, current_settings()
    return Options(
        columns=tuple(options.get("columns") or ()),
        since=options.get("since") or "",
        sample=options.get("sample") or 0,
        pace=Pace(
            statement_seconds=settings.verify_statement_seconds, per_second=settings.verify_statements_per_second
        ),
    )


def _repair(
    verification: Verification,
    module: Module,
    result: VerificationResult,
    results: dict[str, Any],
    log: VerificationLog,
) -> Run:
    request = RunRequest(
        trigger=StartedBy.VERIFICATION.numbered(verification.pk), actor=verification.actor, force=verification.force
    )
    # checked before the run is inserted: raises if the differences cannot be repaired
    build_plan(module, repair=result)
    # a block of its own: a run shields its block from interrupts, and the comparison after it can be cancelled
    with signals.as_interrupt(deferred=True) as received:
        run = insert_run(module, request)
        differing = counted(result.comparison.counts.total)
        ranges = (
            ""
            if result.spec.range_column is not None
            else "; the whole query is read, because its key is not an integer"
        )
        log(f"repairing by run {run.pk}: {differing} to repair{ranges}")
        results["repair_run"] = run
        point("verification.repairing")
        execute_run(run, repair=result)
    if run.published_at is not None:
        results["repaired"] = {
            "pulled": run.read,
            "inserted": run.inserted,
            "updated": run.updated,
            "deleted": run.deleted or 0,
            **({} if run.status == Status.SUCCESS else {"finished": False}),
        }
    if run.status == Status.SUCCESS:
        # a cancel that was too late for the run stops the second comparison, which may end before the next heartbeat
        is_cancelled = retry_metadata(verification.must_stop)
        if received or is_cancelled:
            raise KeyboardInterrupt
    return run


def _fail(verification: Verification, error: PipekitError, results: dict[str, Any], log: VerificationLog) -> None:
    redacted = {name: redactor().text(text) for name, text in error.as_dict().items()}
    log.write("\n".join(filter(None, (f"failed: {redacted['message']}", redacted["hint"], redacted["detail"]))))
    status = VerificationStatus.DIFFERENT if _differs(results) else VerificationStatus.ERROR
    finish_verification(verification, status, log, **{**results, "error": redacted})


def _differs(results: dict[str, Any]) -> bool:
    return any(results.get(kind) for kind in ("missing", "extra", "different"))


class VerificationLog:
    """Writes redacted lines to the verification's log file; ``show`` is also called with progress."""

    def __init__(self, verification: Verification, show: Callable[[str], object]) -> None:
        self._verification, self._show = verification, show

    def __call__(self, text: str) -> None:
        """Log a line of progress and show it."""
        self.write(text)
        self._show(redactor().text(text))

    def write(self, text: str) -> None:
        """Log a text without showing it."""
        logs.write(self._verification, text)

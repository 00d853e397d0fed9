"""Carry one verification out in this process: compare, repair where that is asked for, record."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from connections.sdk import lock_waits
from connections.sdk.errors import Cancelled, InternalError, PipekitError
from connections.secrets.redaction import redactor
from modules.models import Module
from runs.engine.faults import point
from runs.engine.plan import Plan
from runs.engine.plurals import counted
from runs.lifecycle import claim, signals
from runs.lifecycle import execute as running
from runs.lifecycle import plan as planning
from runs.lifecycle.heartbeat import Heartbeat
from runs.lifecycle.metadata_retry import retry_metadata
from runs.models import Run
from runs.models.states import Status
from runs.models.verification import Verification, VerificationStatus
from runs.settings import setting
from runs.verifications import record, scope
from runs.verifications.log import VerificationLog
from runs.verifications.report import summary
from runs.verifications.results import results as results_of


def execute(verification: Verification, *, show: Callable[[str], object] = lambda text: None) -> Verification:
    """Compare to the end and return the row in its final state; no exception of the comparison's own leaves here.

    What fails after the comparison, a repair above all, leaves what was found: the row is `different`, with the error.
    ``show`` gets the progress; the result is the caller's to show. Both are in the log.
    """
    log = VerificationLog(verification, show)
    found: dict[str, Any] = {}
    try:
        signals.end_deferral()
        log(f"comparing {scope.words(verification)}")
        with Heartbeat(verification), lock_waits.reported_to(log):
            _verify(verification, found, log)
            signals.shield()
            status = VerificationStatus.DIFFERENT if _differs(found) else VerificationStatus.EQUAL
            record.finish(verification, status, log, **found)
    except KeyboardInterrupt:
        signals.shield()
        _fail(verification, Cancelled("The verification was cancelled.", hint="Start it again."), found, log)
    except PipekitError as error:
        _fail(verification, error, found, log)
    except Exception as error:
        log.keep("".join(traceback.format_exception(error)))
        text = f"Pipekit failed in a way it should not: {type(error).__name__}: {error}"
        _fail(verification, InternalError(text, hint="The log has the details; please report it."), found, log)
    log.keep(summary(verification))
    return verification


def _verify(verification: Verification, results: dict[str, Any], log: VerificationLog) -> None:
    """Compare, and repair where that is asked for; fills ``results``, the fields of the row, as they become known."""
    # imported here: DuckDB and Arrow are loaded by nothing but a comparison
    from runs.engine.verify.repair import kept, why_useless
    from runs.engine.verify.verify import verify

    module = verification.module
    assert module is not None, "a module is verified while it exists"
    plan, options = retry_metadata(lambda: (planning.plan(_run_of(module)), _options(verification)))
    found = verify(plan, options, log=log, progress=record.progress(verification))
    results |= results_of(found)
    point("verification.compared")
    if not found.outcome.counts.total:
        return
    if not verification.repair:
        useless = why_useless(plan, found)
        results["compared"]["repairable"] = not useless
        results["warnings"] += [useless] if useless else []
        return
    run = _repair(verification, module, found, results, log)
    if run.status != Status.SUCCESS:
        results["error"] = _error_of(run, verification)
        log.keep(f"repair {run.status}: {results['error']['message']}\n{results['error']['hint']}")
        return
    point("verification.repaired")
    # the same rows as before, a sample or all: only they are repaired
    left = verify(plan, replace(options, same=found.sample, sample=0), log=log)
    after = left.outcome.counts
    if after.total:
        verb = "is" if after.missing == 1 else "are"
        text = (
            f"After the repair {counted(after.missing)} {verb} missing, {after.extra:,} extra, {after.different:,}"
            " different."
        )
        results["warnings"] += [" ".join(filter(None, (text, kept(plan, left))))]
        results["repaired"]["left"] = after.total


def _error_of(run: Run, verification: Verification) -> dict[str, str]:
    """Return the run's error; one of a safety limit names the command that goes on in spite of it."""
    error = dict(run.error or {"code": "internal", "message": f"Run {run.pk} ended as {run.status}.", "hint": ""})
    if run.status == Status.REFUSED:
        command = scope.command(verification, repair=True, force=True)
        error["hint"] = f"{error['hint']} The whole command: {command}"
    return {name: str(error.get(name) or "") for name in ("code", "message", "hint", "detail")}


def _run_of(module: Module) -> Run:
    """Return a run that is not saved, for its plan: a comparison is none."""
    return Run(module=module, module_name=module.name, force=False)


def _options(verification: Verification) -> Any:
    from runs.engine.verify.pace import Pace
    from runs.engine.verify.verify import Options

    given = verification.options
    return Options(
        columns=tuple(given.get("columns") or ()),
        since=given.get("since") or "",
        sample=given.get("sample") or 0,
        pace=Pace(
            statement_seconds=setting("verify_statement_seconds"), per_second=setting("verify_statements_per_second")
        ),
    )


def _repair(
    verification: Verification, module: Module, found: Any, results: dict[str, Any], log: VerificationLog
) -> Run:
    from runs.engine.verify.repair import repair_plan

    request = claim.Request(
        trigger=f"verification:{verification.pk}", actor=verification.actor, force=verification.force
    )
    # asked for before the run is claimed: what cannot be repaired starts none
    repair_plan(planning.plan(_run_of(module)), found)

    def change(plan: Plan) -> Plan:
        return repair_plan(plan, found)

    # a block of its own: a run ends its block's readiness for a cancel, and the comparison after it can be cancelled
    with signals.as_interrupt(deferred=True) as received:
        run = claim.claim(module, request)
        differing = counted(found.outcome.counts.total)
        ranges = (
            "" if found.compared.range_column is not None else "; the whole query is read, as by any key but integers"
        )
        log(f"repairing by run {run.pk}: {differing} to put right{ranges}")
        results["repair_run"] = run
        point("verification.repairing")
        running.execute(run, change=change)
    if run.published_at is not None:
        results["repaired"] = {
            "pulled": run.read,
            "inserted": run.inserted,
            "updated": run.updated,
            "deleted": run.deleted or 0,
            **({} if run.status == Status.SUCCESS else {"finished": False}),
        }
    if run.status == Status.SUCCESS:
        # too late for the run, and the comparison that follows may be over before the next look at the row
        is_cancelled = retry_metadata(verification.must_stop)
        if received or is_cancelled:
            raise KeyboardInterrupt
    return run


def _fail(verification: Verification, error: PipekitError, found: dict[str, Any], log: VerificationLog) -> None:
    hidden = {name: redactor().text(text) for name, text in error.as_dict().items()}
    log.keep("\n".join(filter(None, (f"failed: {hidden['message']}", hidden["hint"], hidden["detail"]))))
    status = VerificationStatus.DIFFERENT if _differs(found) else VerificationStatus.ERROR
    record.finish(verification, status, log, **{**found, "error": hidden})


def _differs(found: dict[str, Any]) -> bool:
    return any(found.get(kind) for kind in ("missing", "extra", "different"))

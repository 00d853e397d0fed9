"""Carry one verification out in this process: compare, repair where that is asked for, record."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from connections.redacting import redactor
from connections.sdk.datatypes import NUMERIC_KINDS, Kind
from connections.sdk.errors import Cancelled, InternalError, PipekitError
from connections.sdk.schema import Column
from modules.models import Module
from runs import claiming, interrupting, planning, running
from runs.engine.plan import Plan
from runs.heartbeat import Heartbeat
from runs.models import Run
from runs.settings import setting
from runs.states import Status
from runs.verification import Verification, VerificationStatus

Log = Callable[[str], None]
_INTEGERS = NUMERIC_KINDS - {Kind.DECIMAL, Kind.REAL, Kind.DOUBLE}


def execute(verification: Verification, *, log: Log = lambda text: None) -> Verification:
    """Compare to the end and return the row in its final state; no exception of the comparison's own leaves here."""
    try:
        interrupting.release()
        with Heartbeat(verification):
            _verify(verification, log)
            interrupting.shield()
    except KeyboardInterrupt:
        interrupting.shield()
        _fail(verification, Cancelled("The verification was cancelled.", hint="Start it again."), log)
    except PipekitError as error:
        _fail(verification, error, log)
    except Exception as error:
        log("".join(traceback.format_exception(error)))
        text = f"Pipekit failed in a way it should not: {type(error).__name__}: {error}"
        _fail(verification, InternalError(text, hint="The log has the details; please report it."), log)
    return verification


def _verify(verification: Verification, log: Log) -> None:
    # imported here: DuckDB and Arrow are loaded by nothing but a comparison
    from runs.engine.verify.verify import verify

    module = verification.module
    assert module is not None, "a module is verified while it exists"
    plan, options = planning.plan(_run_of(module)), _options(verification)
    found = verify(plan, options, log=log, progress=_progress(verification))
    results = _results(found)
    if not found.outcome.counts.total or not verification.repair:
        status = VerificationStatus.DIFFERENT if found.outcome.counts.total else VerificationStatus.EQUAL
        verification.finish(status, **results)
        return
    run = _repair(verification, module, found, log)
    results["repair_run"] = run
    if run.status != Status.SUCCESS:
        verification.finish(VerificationStatus.DIFFERENT, error=run.error, **results)
        return
    results["repaired"] = {
        "pulled": run.read,
        "inserted": run.inserted,
        "updated": run.updated,
        "deleted": run.deleted,
    }
    after = verify(plan, options, log=log).outcome.counts
    if after.total:
        results["warnings"] = [
            *results["warnings"],
            f"After the repair {after.missing} rows are missing, {after.extra} extra, {after.different} different.",
        ]
        results["repaired"]["left"] = after.total
    verification.finish(VerificationStatus.DIFFERENT, **results)


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


def _progress(verification: Verification) -> Callable[[int], None]:
    def progress(rows: int) -> None:
        verification.note(source_rows=rows)

    return progress


def _repair(verification: Verification, module: Module, found: Any, log: Log) -> Run:
    from runs.engine.verify.repair import repair_plan

    request = claiming.Request(
        trigger=f"verification:{verification.pk}", actor=verification.actor, force=verification.force
    )
    # asked for before the run is claimed: what cannot be repaired starts none
    repair_plan(planning.plan(_run_of(module)), found)
    run = claiming.claim(module, request)
    log(f"repairing by run {run.pk}")

    def change(plan: Plan) -> Plan:
        return repair_plan(plan, found)

    return running.execute(run, change=change)


def _results(found: Any) -> dict[str, Any]:
    outcome, columns = found.outcome, found.compared.key_columns
    return {
        "source_rows": outcome.source_rows,
        "dest_rows": outcome.dest_rows,
        "missing": outcome.counts.missing,
        "extra": outcome.counts.extra,
        "different": outcome.counts.different,
        "warnings": list(found.warnings),
        "examples": {
            "missing": [_key(key.key, columns) for key in outcome.missing],
            "extra": [_key(key.key, columns) for key in outcome.extra],
            "different": [
                {
                    "key": _key(value.key, columns),
                    "column": value.column,
                    "source": value.source,
                    "dest": value.destination,
                }
                for value in outcome.different
            ],
        },
    }


def _key(key: tuple[str | None, ...], columns: tuple[Column, ...]) -> Any:
    """Return a key as JSON has it: a number or text, of several columns a list."""
    values = [
        int(text) if text is not None and column.data_type.kind in _INTEGERS else text
        for text, column in zip(key, columns, strict=True)
    ]
    return values[0] if len(values) == 1 else values


def _fail(verification: Verification, error: PipekitError, log: Log) -> None:
    hidden = {name: redactor().text(text) for name, text in error.as_dict().items()}
    log("\n".join(filter(None, (f"failed: {hidden['message']}", hidden["hint"], hidden["detail"]))))
    verification.finish_error(hidden)

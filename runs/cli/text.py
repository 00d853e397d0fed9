"""Text output of runs for terminals and pipes: plain lines without escape sequences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from django.utils import timezone

from connections.sdk.formatting import counted, one_line
from runs.models import GroupRun, Run
from runs.models.execution import StartedBy
from runs.models.publish_outcome import outcome_note, tries_note
from runs.models.states import Effect, Status


def run_summary(run: Run) -> str:
    """Return a line with the run's result; for a dry run also the SQL that it built."""
    if run.dry_run:
        return _dry_summary(run)
    how = ", ".join(filter(None, [f"run {run.pk}", run.strategy, "forced" if run.force else "", tries_note(run)]))
    text = f"{run.module_name}: {run.status} in {run.seconds or 0:.2f} s ({how})"
    shown = "; ".join(filter(None, [_counts(run), outcome_note(run)]))
    return f"{text}: {shown}" if shown else text


def _counts(run: Run) -> str:
    """Return the counts that are known."""
    counts = {"read": run.read, "inserted": run.inserted, "updated": run.updated, "deleted": run.deleted}
    return ", ".join(f"{value:,} {name}" for name, value in counts.items() if value is not None)


def _dry_summary(run: Run) -> str:
    # a failed dry run has only the SQL that it built before the error
    built = [("source query", run.source_query), ("merge", run.merge_sql)]
    return "\n\n".join([f"{run.module_name}: {_status(run)}", *(f"-- {name}\n{sql}" for name, sql in built if sql)])


def _status(run: Run) -> str:
    """Return the status, marked if a dry run ended with another status than dry_run."""
    is_other = run.dry_run and run.is_final and run.status != Status.DRY_RUN
    return f"{run.status} (dry run)" if is_other else str(run.status)


def group_run_summary(group_run: GroupRun) -> str:
    """Return the result of a group run: a line for it and lines for each member."""
    lines = [f"{group_run.group_name}: {group_run.status} (group run {group_run.pk})"]
    for run in group_run.runs.order_by("pk"):
        lines.append("  " + (run_line(run) if run.dry_run else run_summary(run)))
        lines += [f"    warning: {one_line(warning)}" for warning in run.warnings]
        lines += _member_error(run.error) if run.error else []
    return "\n".join([*lines, *(f"  {entry['module']}: skipped, {entry['why']}" for entry in group_run.skipped)])


def _member_error(error: Mapping[str, str]) -> Iterator[str]:
    yield f"    error: {one_line(error['message'])}"
    if error.get("hint"):
        yield f"    fix:   {one_line(error['hint'])}"
    # a number is meant for programs, as in `connections.management.base`
    if error.get("detail") and not error["detail"].isdecimal():
        yield f"    why:   {one_line(error['detail'])}"
    yield f"    code:  {error['code']}"


def run_list_header() -> str:
    """Return the line above a list of runs."""
    return _line("run", "module", "status", "started", "time", "read", "error")


def run_line(run: Run) -> str:
    """Return one line of a list of runs."""
    started = timezone.localtime(run.started_at).strftime("%Y-%m-%d %H:%M:%S") if run.started_at else "-"
    duration = "" if run.seconds is None else f"{run.seconds:.2f} s"
    rows = "" if run.read is None else counted(run.read)
    # a repair reads only a part of the rows
    notes = ["repair"] if run.trigger.startswith(StartedBy.VERIFICATION) else ["restore"] if run.restore else []
    notes += [one_line(run.error["message"])] if run.error else []
    problem = ": ".join(notes)
    says_outcome = any(str(effect.label) in problem for effect in (Effect.PUBLISHED, Effect.UNPUBLISHED))
    outcome = "" if says_outcome and not run.not_executed else outcome_note(run)
    remarks = "; ".join(filter(None, [tries_note(run), outcome]))
    problem = f"{problem} [{remarks}]" if problem and remarks else problem or remarks
    return _line(str(run.pk), run.module_name, _status(run), started, duration, rows, problem)


def _line(number: str, module: str, status: str, started: str, duration: str, rows: str, problem: str) -> str:
    return f"{number:>7}  {module:<24}  {status:<15}  {started:<19}  {duration:>10}  {rows:>14}  {problem}".rstrip()

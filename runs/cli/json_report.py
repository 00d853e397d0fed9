"""The JSON of runs and group runs, for scripts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from connections.sdk.formatting import iso_milliseconds
from runs.models import GroupRun, Run
from runs.models.states import GroupStatus, Status


def run_as_json(run: Run) -> dict[str, Any]:
    """Return the run as JSON; scripts rely on its keys. Counts that the destination does not report are null."""
    return {
        "run": run.pk,
        "module": run.module_name,
        "status": str(run.status),
        "dry_run": run.dry_run,
        "trigger": run.trigger,
        "strategy": run.strategy,
        "read": run.read,
        "staged": run.staged,
        "inserted": run.inserted,
        "updated": run.updated,
        "deleted": run.deleted,
        "bytes": run.bytes,
        "seconds": run.seconds,
        "source_query": run.source_query,
        "merge_sql": run.merge_sql,
        "watermarks": run.watermarks,
        "warnings": run.warnings,
        "effect": run.effect,
        "unfinished": run.not_executed,
        "restore": run.restore,
        "publish_method": run.publish_method or None,
        "kept_bytes": run.kept_bytes,
        "error": run.error,
        "group_run": run.group_run_id,
        "attempt": run.attempt,
        "attempts": run.attempts or [],
        "started_at": _iso(run.started_at),
        "finished_at": _iso(run.finished_at),
    }


def run_not_begun(module: str | None, error: Mapping[str, str]) -> dict[str, Any]:
    """Return the JSON of a run that could not be started; its number is null, and an unknown module."""
    run = Run(module_name=module or "", status=Status.ERROR, error=dict(error))
    return {**run_as_json(run), "module": module}


def group_run_not_begun(group: str | None, error: Mapping[str, str]) -> dict[str, Any]:
    """Return the JSON of a group run that could not be started, as `run_not_begun`."""
    group_run = GroupRun(group_name=group or "", status=GroupStatus.ERROR, error=dict(error))
    return {**_group_run_as_json(group_run, []), "group": group}


def run_failed(run: Run, error: Mapping[str, str]) -> dict[str, Any]:
    """Return the JSON of a run whose command failed with this error, as far as the run is known."""
    return {**run_as_json(run), "error": dict(error)}


def group_run_failed(group_run: GroupRun, runs: Iterable[Run], error: Mapping[str, str]) -> dict[str, Any]:
    """Return the JSON of a group run, as `run_failed`; ``runs`` are those of its runs that are known."""
    return {**_group_run_as_json(group_run, runs), "error": dict(error)}


def group_run_as_json(group_run: GroupRun) -> dict[str, Any]:
    """Return the group run as JSON, with its runs in the order in which they started."""
    return _group_run_as_json(group_run, group_run.runs.order_by("pk"))


def _group_run_as_json(group_run: GroupRun, runs: Iterable[Run]) -> dict[str, Any]:
    return {
        "group_run": group_run.pk,
        "group": group_run.group_name,
        "status": str(group_run.status),
        "dry_run": group_run.dry_run,
        "trigger": group_run.trigger,
        "runs": [run_as_json(run) for run in runs],
        "skipped": group_run.skipped,
        "error": group_run.error,
        "started_at": _iso(group_run.started_at),
        "finished_at": _iso(group_run.finished_at),
    }


def _iso(timestamp: dt.datetime | None) -> str | None:
    return iso_milliseconds(timestamp) if timestamp else None

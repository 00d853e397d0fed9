"""Deletes log files that are past their retention, except those of active runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from runs.models import GroupRun, Run, Verification
from runs.models.setting import current_settings
from runs.prune.result import Pruned

_DIRECTORIES = ("runs", "group_runs", "verifications")


def prune_logs(now: dt.datetime, dry_run: bool) -> Iterator[Pruned]:
    """Delete log files older than the setting log_retention_days."""
    limit = now - dt.timedelta(days=current_settings().log_retention_days)
    old, error = _old(limit), ""
    for count, file in enumerate(old):
        if dry_run:
            break
        try:
            file.unlink(missing_ok=True)
        except OSError as failed:
            old, error = old[:count], f"{file} cannot be deleted: {failed.strerror}."
            break
    yield Pruned(what="log files", count=len(old), error=error)


def _old(limit: dt.datetime) -> list[Path]:
    root = Path(settings.PIPEKIT.log_dir)
    verifying = Verification.objects.filter(finished_at=None)
    in_use = {row.log_file for row in (*Run.objects.active(), *GroupRun.objects.active(), *verifying)}
    files = (file for name in _DIRECTORIES for file in sorted((root / name).rglob("*")))
    return [file for file in files if file not in in_use and _is_old(file, limit.timestamp())]


def _is_old(file: Path, limit: float) -> bool:
    """Return whether it is a regular file, not a link, that was last written before the limit."""
    with suppress(FileNotFoundError):
        return file.is_file() and not file.is_symlink() and file.stat().st_mtime < limit
    return False

"""Results that the metadata would not take: kept as files, fsynced, until it does.

A run that has ended is told even when the metadata was locked or full at that moment; the tick takes the files in.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import FieldDoesNotExist
from django.db import DataError, IntegrityError

from runs.models import Run
from runs.models.states import IllegalTransition, Status

_log = logging.getLogger(__name__)


def keep(run: Run, status: Status, fields: dict[str, Any]) -> Path:
    """Write down how the run ended; a reader sees the file whole or not at all."""
    directory = _directory()
    directory.mkdir(mode=0o700, exist_ok=True)
    file, unfinished = directory / f"{run.token}.json", directory / f"{run.token}.part"
    try:
        with unfinished.open("w", encoding="utf-8") as opened:
            json.dump({"token": run.token, "status": status, "fields": fields}, opened, default=_plain)
            opened.flush()
            os.fsync(opened.fileno())
        unfinished.replace(file)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    return file


def take_in() -> int:
    """Bring the files into the metadata; return how many runs were ended by them."""
    return sum(_tried(file) for file in sorted(_directory().glob("*.json")))


def _tried(file: Path) -> bool:
    try:
        return _take_in(file)
    except (DataError, IntegrityError, FieldDoesNotExist, OSError, ValueError, TypeError, KeyError):
        # it stays, and keeps nothing else waiting
        _log.exception("What %s tells of a run cannot be taken in.", file)
        return False


def _take_in(file: Path) -> bool:
    with suppress(FileNotFoundError):
        kept = json.loads(file.read_text(encoding="utf-8"))
        run, taken = Run.objects.filter(token=kept["token"]).first(), False
        if run is not None:
            with suppress(IllegalTransition):
                run.finish(Status(kept["status"]), **_read(kept["fields"]))
                taken = True
        # not before: a file that could not be taken in stays
        file.unlink(missing_ok=True)
        return taken
    return False


def _plain(value: object) -> str:
    # Django's own encoding drops microseconds
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)


def _read(fields: dict[str, Any]) -> dict[str, Any]:
    dates = {name for name in ("finished_at", "published_at") if fields.get(name)}
    return {name: dt.datetime.fromisoformat(value) if name in dates else value for name, value in fields.items()}


def _directory() -> Path:
    return Path(settings.PIPEKIT.data_dir) / "spool"

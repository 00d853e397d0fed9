"""File fallback for the results of runs while the metadata database is locked, full or unavailable.

The next tick, or whoever finalizes the run, imports the files.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import FieldDoesNotExist
from django.db import DataError, IntegrityError

from connections.sdk.files.private import replace_file
from runs.models import Run
from runs.models.states import Status
from runs.models.transitions import IllegalTransition

_log = logging.getLogger(__name__)


def write(run: Run, status: Status, fields: dict[str, Any]) -> Path:
    """Write the final state of a run to a file, durably and atomically; return its path. Raise OSError on failure."""
    directory = _directory()
    directory.mkdir(mode=0o700, exist_ok=True)
    file = directory / f"{run.token}.json"
    replace_file(file, json.dumps({"token": run.token, "status": status, "fields": fields}, default=_serialize))
    return file


def import_files() -> int:
    """Import the files into the metadata and delete them; return how many runs were finalized."""
    return sum(_try_import(file) for file in sorted(_directory().glob("*.json")))


def _try_import(file: Path) -> bool:
    try:
        return _import(file)
    except (DataError, IntegrityError, FieldDoesNotExist, OSError, ValueError, TypeError, KeyError):
        # the file stays, and the others are imported all the same
        _log.exception("The result of a run in %s cannot be imported.", file)
        return False


def _import(file: Path) -> bool:
    with suppress(FileNotFoundError):
        result = json.loads(file.read_text(encoding="utf-8"))
        run, imported = Run.objects.filter(token=result["token"]).first(), False
        if run is not None:
            with suppress(IllegalTransition):
                run.finish(Status(result["status"]), **_parse(result["fields"]))
                imported = True
        # only now: a file that could not be imported stays
        file.unlink(missing_ok=True)
        return imported
    return False


def _serialize(value: object) -> str:
    # DjangoJSONEncoder would drop microseconds
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)


def _parse(fields: dict[str, Any]) -> dict[str, Any]:
    dates = {name for name in ("finished_at", "published_at") if fields.get(name)}
    return {name: dt.datetime.fromisoformat(value) if name in dates else value for name, value in fields.items()}


def _directory() -> Path:
    return Path(settings.PIPEKIT.data_dir) / "spool"

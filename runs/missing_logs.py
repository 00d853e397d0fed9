"""Why a run, group run or verification has no log to show, in words for people."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from connections.sdk.files import path_problem
from connections.sdk.records import dataclass
from runs.models import GroupRun, Run, Verification
from runs.models.setting import SettingInvalid, current_settings

KEPT = "What was recorded of it is kept: manage.py runs --json, or its page in the admin."


@dataclass(frozen=True, slots=True)
class MissingLog:
    """Why there are no lines; ``is_expected`` unless the log of an ended row should exist, or existed once.

    ``advice`` says how to read a log that exists; empty for others.
    """

    reason: str
    is_expected: bool = False
    advice: str = ""


def why_missing(row: Run | GroupRun | Verification) -> MissingLog:
    """Return why the row's log has no lines."""
    if isinstance(row, Run) and not row.log_path:
        return MissingLog(
            "It has no log: it ended before its process was started, as its error says.", is_expected=True
        )
    file = row.log_file
    try:
        with file.open("rb"):
            exists = True
    except FileNotFoundError:
        exists = False
    except OSError as error:
        reason = f"Its log file {file} cannot be read: {error.strerror}."
        return MissingLog(reason, advice=path_problem.advice(error))
    if not row.is_final:
        return MissingLog(f"Nothing has been logged yet: it is {row.status}.", is_expected=True)
    if exists:
        return MissingLog(f"Its log file {file} is empty: nothing could be written to it, or it was emptied.")
    return MissingLog(f"Its log file {file} does not exist any more: {_why_deleted(row)}.")


def _why_deleted(row: Run | GroupRun | Verification) -> str:
    try:
        days = current_settings().log_retention_days
    except SettingInvalid:
        return "it was deleted"
    if row.finished_at is not None and timezone.now() - row.finished_at > dt.timedelta(days=days):
        return f"logs are deleted after {days} days (the setting log_retention_days)"
    return "it was deleted or moved, or the metadata was restored without the logs"

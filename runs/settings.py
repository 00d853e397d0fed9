"""Access to the settings of `runs.models.Setting`, which an operator may change while Pipekit runs."""

from __future__ import annotations

from typing import Any

from runs.models.setting import Setting, names


def current() -> Setting:
    """Return the settings as stored now, or the defaults. Reading one whose stored value is invalid raises ValueError.

    It is one query. What belongs to one decision is read from one result; what an operator may change meanwhile is
    read again.
    """
    row = Setting.objects.first() or Setting()
    for name in row.invalid.keys() & set(names()):
        # Django asks `Setting.refresh_from_db` for it
        del row.__dict__[name]
    return row


def setting(name: str) -> Any:
    """Return one setting as stored now, or its default."""
    return getattr(current(), name)

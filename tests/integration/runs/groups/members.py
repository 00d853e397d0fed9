"""Queries of members, the statuses of their runs, and waiting for the end of a group run."""

from __future__ import annotations

from collections.abc import Callable

from modules.models import Module
from runs.models import GroupRun
from tests.processes.commands import wait_until

Member = Callable[..., Module]
GOOD, BAD = "SELECT 1 AS k", "SELECT k FROM nothere"


def statuses(group_run: GroupRun) -> list[tuple[str, str]]:
    """Return the module and the status of each run, in the order of their creation."""
    return list(group_run.runs.order_by("pk").values_list("module_name", "status"))


def wait_for_end(group_run: GroupRun) -> GroupRun:
    def is_final() -> bool:
        group_run.refresh_from_db()
        return group_run.is_final

    wait_until(is_final)
    return group_run

"""Carry one group run out: its members by their order, those of one order side by side, each in a process of its own.

Its own process only starts them, watches their rows and says how it went; it moves no rows and holds no connection.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import groupby

from django.db import DatabaseError, InterfaceError, connection

from connections.sdk.errors import AlreadyRunning, InternalError, PipekitError
from modules.models import Group, GroupMember, Module
from runs import cancelling, claiming, interrupting, launching, live_log
from runs.heartbeat import Heartbeat
from runs.models import GroupRun, Run
from runs.reaping import reap, seems_dead
from runs.states import FAILED, IllegalTransition

# seconds between two looks at the members' rows
_LOOK = 0.5


def carry_out(group_run: GroupRun) -> None:
    """Run the started group run to its end, whatever its members do; whoever settled it before us is right."""
    try:
        with Heartbeat(group_run):
            _Group(group_run).run()
            interrupting.shield()
        _patiently(group_run.finish)
    except KeyboardInterrupt:
        interrupting.shield()
        _cancel(group_run)
    except IllegalTransition as error:
        live_log.write(group_run, error.message)
    except Exception as error:
        live_log.write(group_run, f"failed: {type(error).__name__}: {error}")
        known = error if isinstance(error, PipekitError) else InternalError(f"{type(error).__name__}: {error}")
        group_run.finish_error(known.as_dict())
    live_log.write(group_run, f"ended: {group_run.status}")


class _Group:
    """One group run while it goes on."""

    def __init__(self, group_run: GroupRun) -> None:
        assert group_run.group is not None, "a group runs while it exists"
        self.row, self.group = group_run, group_run.group
        self._request = claiming.Request(
            trigger=group_run.trigger,
            actor=group_run.actor,
            dry_run=group_run.dry_run,
            full_refresh=group_run.full_refresh,
            group_run=group_run,
        )
        self._failed = False

    def run(self) -> None:
        members = _members(self.group)
        self.row.record(members=[member.module.name for member in members])
        for _, same in groupby(members, key=lambda member: member.run_order):
            self._side_by_side([member.module for member in same])

    def _side_by_side(self, modules: Sequence[Module]) -> None:
        waiting, going = list(modules), list[Run]()
        while waiting or going:
            while waiting and len(going) < self.group.max_parallel:
                going += self._begin(waiting.pop(0))
            going = [run for run in going if not self._is_over(run)]
            if len(going) >= self.group.max_parallel or (going and not waiting):
                time.sleep(_LOOK)

    def _begin(self, module: Module) -> list[Run]:
        why = "" if module.enabled else "it is disabled"
        if self._failed and self.group.on_failure == "stop":
            why = "a member before it failed"
        if why:
            self.row.record(skipped=[*self.row.skipped, {"module": module.name, "why": why}])
            live_log.write(self.row, f"{module.name}: skipped, {why}")
            return []
        run = self._launched(module)
        live_log.write(self.row, f"{module.name}: run {run.pk}")
        return [run]

    def _launched(self, module: Module) -> Run:
        try:
            return launching.launch(module, self._request)
        except AlreadyRunning as error:
            return claiming.refuse(module, self._request, error)

    def _is_over(self, run: Run) -> bool:
        try:
            run.refresh_from_db()
            if not run.is_final and seems_dead(run):
                reap(run)
        except (DatabaseError, InterfaceError):
            connection.close()
            return False
        if run.is_final:
            self._failed = self._failed or run.status in FAILED
            live_log.write(self.row, f"{run.module_name}: {run.status}")
        return run.is_final


def _members(group: Group) -> list[GroupMember]:
    return list(
        group.members.select_related("module__source_connection__driver", "module__dest_connection__driver").order_by(
            "run_order", "pk"
        )
    )


def _cancel(group_run: GroupRun) -> None:
    """Cancel what is going and wait for it: only then is the group's run over."""
    live_log.write(group_run, "cancelling")
    active = group_run.runs.active()
    for run in active:
        cancelling.cancel(run)
    until = time.monotonic() + 30
    while active.all().exists() and time.monotonic() < until:
        time.sleep(_LOOK)
    begun = {*group_run.runs.values_list("module_name", flat=True), *(entry["module"] for entry in group_run.skipped)}
    left = [{"module": name, "why": "the group run was cancelled"} for name in group_run.members if name not in begun]
    try:
        group_run.record(skipped=[*group_run.skipped, *left])
        _patiently(group_run.finish_cancelled)
    except IllegalTransition as error:
        live_log.write(group_run, error.message)


def _patiently(finish: Callable[[], None]) -> None:
    """Write the end; metadata that is locked just now is waited for."""
    for _ in range(120):
        try:
            finish()
            return
        except (DatabaseError, InterfaceError):
            connection.close()
            time.sleep(1)

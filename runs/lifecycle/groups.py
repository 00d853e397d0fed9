"""Carry one group run out: its members by their order, those of one order side by side, each in a process of its own.

Its own process only starts them, watches their rows and says how it went; it moves no rows and holds no connection.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import groupby

from django.db import DatabaseError, InterfaceError, connection

from connections.sdk.errors import InternalError, PipekitError
from modules.models import Group, Module
from runs import logs
from runs.lifecycle import cancel, claim, launch, signals
from runs.lifecycle.heartbeat import Heartbeat
from runs.lifecycle.metadata_retry import patiently
from runs.lifecycle.reap import reap, seems_dead
from runs.models import GroupRun, Run
from runs.models.states import FAILED, IllegalTransition

# seconds between two looks at the members' rows
_LOOK = 0.5


def carry_out(group_run: GroupRun) -> None:
    """Run the started group run to its end, whatever its members do; whoever settled it before us is right."""
    try:
        with Heartbeat(group_run):
            failed = _run(group_run)
            signals.shield()
        patiently(lambda: group_run.finish_error(failed.as_dict()) if failed else group_run.finish())
    except KeyboardInterrupt:
        signals.shield()
        _cancel(group_run)
    except IllegalTransition as error:
        logs.write(group_run, error.message)
    logs.write(group_run, f"ended: {group_run.status}")


def _run(group_run: GroupRun) -> PipekitError | None:
    """Return why it could not go on, once what it had begun is over; None when nothing was in its way."""
    try:
        _Group(group_run).run()
    except IllegalTransition:
        raise
    except Exception as error:
        logs.write(group_run, f"failed: {type(error).__name__}: {error}")
        while patiently(lambda: [run for run in group_run.runs.active() if not _settled(run)]):
            time.sleep(_LOOK)
        return error if isinstance(error, PipekitError) else InternalError(f"{type(error).__name__}: {error}")
    return None


class _Group:
    """One group run while it goes on."""

    def __init__(self, group_run: GroupRun) -> None:
        assert group_run.group is not None, "a group runs while it exists"
        self.row, self.group = group_run, group_run.group
        self._request = claim.Request(
            trigger=group_run.trigger,
            actor=group_run.actor,
            dry_run=group_run.dry_run,
            full_refresh=group_run.full_refresh,
            group_run=group_run,
        )
        self._failed = False

    def run(self) -> None:
        members = patiently(lambda: _members(self.group))
        patiently(lambda: self.row.record(members=[name for _, _, name in members]))
        for _, same in groupby(members, key=lambda member: member[0]):
            self._side_by_side([(pk, name) for _, pk, name in same])

    def _side_by_side(self, modules: Sequence[tuple[int, str]]) -> None:
        waiting, going = list(modules), list[Run]()
        while waiting or going:
            while waiting and len(going) < self.group.max_parallel:
                going += self._begin(*waiting.pop(0))
            going = [run for run in going if not self._is_over(run)]
            if len(going) >= self.group.max_parallel or (going and not waiting):
                time.sleep(_LOOK)

    def _begin(self, pk: int, name: str) -> list[Run]:
        # read only now: since the group began, somebody may have changed, disabled or deleted it
        module = patiently(lambda: Module.objects.with_connections().filter(pk=pk).first())
        if self._failed and self.group.on_failure == "stop":
            why = "a member before it failed"
        elif module is None:
            why = "it was deleted"
        else:
            why = "" if module.enabled else "it is disabled"
        if why or module is None:
            self._skip(name, why)
            return []
        run = patiently(lambda: self._launched(module))
        if run is None:
            self._skip(name, "it was deleted")
            return []
        logs.write(self.row, f"{name}: run {run.pk}")
        return [run]

    def _skip(self, name: str, why: str) -> None:
        patiently(lambda: self.row.record(skipped=[*self.row.skipped, {"module": name, "why": why}]))
        logs.write(self.row, f"{name}: skipped, {why}")

    def _launched(self, module: Module) -> Run | None:
        """Return its run, also one that could not begin; None when the module is gone. May be called again."""
        if run := self.row.runs.filter(module=module.pk).first():
            # begun before the metadata failed us
            return run
        try:
            return launch.launch(module, self._request)
        except PipekitError as error:
            if not Module.objects.filter(pk=module.pk).exists():
                return None
            return claim.refuse(module, self._request, error)

    def _is_over(self, run: Run) -> bool:
        try:
            run.refresh_from_db()
            if not run.is_final and seems_dead(run):
                reap(run)
        except Run.DoesNotExist:
            logs.write(self.row, f"{run.module_name}: run {run.pk} is gone")
            return True
        except (DatabaseError, InterfaceError):
            connection.close()
            return False
        if run.is_final:
            self._failed = self._failed or run.status in FAILED
            logs.write(self.row, f"{run.module_name}: {run.status}")
        return run.is_final


def _members(group: Group) -> list[tuple[int, int, str]]:
    """Return order, module and its name, in order."""
    rows = group.members.order_by("run_order", "pk")
    return list(rows.values_list("run_order", "module_id", "module__name"))


def _cancel(group_run: GroupRun) -> None:
    """Cancel what is going and wait for it: only then is the group's run over."""
    logs.write(group_run, "cancelling")
    for run in patiently(lambda: list(group_run.runs.active())):
        cancel.cancel(run)
    until = time.monotonic() + 30
    while patiently(lambda: group_run.runs.active().exists()) and time.monotonic() < until:
        time.sleep(_LOOK)
    try:
        patiently(lambda: _finish_cancelled(group_run))
    except IllegalTransition as error:
        logs.write(group_run, error.message)


def _finish_cancelled(group_run: GroupRun) -> None:
    begun = {*group_run.runs.values_list("module_name", flat=True), *(entry["module"] for entry in group_run.skipped)}
    left = [{"module": name, "why": "the group run was cancelled"} for name in group_run.members if name not in begun]
    group_run.record(skipped=[*group_run.skipped, *left])
    group_run.finish_cancelled()


def _settled(run: Run) -> bool:
    if not seems_dead(run):
        return False
    reap(run)
    return True

"""Executes one group run: its members by run order, those of the same order in parallel, each in its own process.

The process of the group run only starts the runs and polls their rows; it moves no data and opens no connection.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from itertools import groupby

from django.db import DatabaseError, InterfaceError, connection

from connections.sdk.errors import InternalError, PipekitError
from modules.choices import OnFailure
from modules.models import Group, Module
from runs import logs
from runs.lifecycle import signals
from runs.lifecycle.cancel import cancel_execution
from runs.lifecycle.heartbeat import Heartbeat
from runs.lifecycle.insert import RunRequest, insert_failed_run
from runs.lifecycle.launch import launch_run
from runs.lifecycle.metadata_retry import retry_metadata
from runs.lifecycle.reap import reap_if_dead
from runs.models import GroupRun, Run
from runs.models.setting import current_settings
from runs.models.states import FAILED
from runs.models.transitions import IllegalTransition

# seconds between two queries of the members' rows
_POLL_SECONDS = 0.5


def execute_group_run(group_run: GroupRun) -> None:
    """Execute a started group run to its end. If another process finalized it, that result stands."""
    try:
        signals.end_deferral()
        with Heartbeat(group_run) as heartbeat:
            error = _run(group_run, heartbeat)
            signals.shield()
        retry_metadata(lambda: group_run.finish_error(error.as_dict()) if error else group_run.finish_by_runs())
    except KeyboardInterrupt:
        signals.shield()
        _cancel(group_run)
    except IllegalTransition as refused:
        logs.write(group_run, refused.message)
    logs.write(group_run, f"ended: {group_run.status}")


def _run(group_run: GroupRun, heartbeat: Heartbeat) -> PipekitError | None:
    """Run the members. Return the error that stopped the group run, after the runs it had started have ended."""
    try:
        heartbeat.interval = retry_metadata(current_settings).heartbeat_seconds
        _Group(group_run).run()
    except IllegalTransition:
        raise
    except Exception as error:
        if isinstance(error, PipekitError):
            failure = error
        else:
            logs.write(group_run, "".join(traceback.format_exception(error)))
            failure = InternalError.from_exception(error, log="The group run's log")
        logs.write(group_run, f"failed: {type(error).__name__}: {error}")
        while retry_metadata(lambda: [run for run in group_run.runs.active() if not reap_if_dead(run)]):
            time.sleep(_POLL_SECONDS)
        return failure
    return None


class _Group:
    """One group run in progress."""

    def __init__(self, group_run: GroupRun) -> None:
        assert group_run.group is not None, "a group runs while it exists"
        self.row, self.group = group_run, group_run.group
        self._request = RunRequest(
            trigger=group_run.trigger,
            actor=group_run.actor,
            dry_run=group_run.dry_run,
            full_refresh=group_run.full_refresh,
            group_run=group_run,
        )
        self._failed = False

    def run(self) -> None:
        members = retry_metadata(lambda: _members(self.group))
        retry_metadata(lambda: self.row.record(members=[name for _, _, name in members]))
        for _, same in groupby(members, key=lambda member: member[0]):
            self._run_parallel([(pk, name) for _, pk, name in same])

    def _run_parallel(self, modules: Sequence[tuple[int, str]]) -> None:
        waiting, running = list(modules), list[Run]()
        while waiting or running:
            while waiting and len(running) < self.group.max_parallel:
                running += self._start(*waiting.pop(0))
            running = [run for run in running if not self._has_ended(run)]
            if len(running) >= self.group.max_parallel or (running and not waiting):
                time.sleep(_POLL_SECONDS)

    def _start(self, pk: int, name: str) -> list[Run]:
        # read only now: it may have been changed, disabled or deleted since the group run started
        module = retry_metadata(lambda: Module.objects.with_connections().filter(pk=pk).first())
        if self._failed and self.group.on_failure == OnFailure.STOP:
            why = "a member before it failed"
        elif module is None:
            why = "it was deleted"
        else:
            why = "" if module.enabled else "it is disabled"
        if why or module is None:
            self._skip(name, why)
            return []
        run = retry_metadata(lambda: self._launch(module))
        if run is None:
            self._skip(name, "it was deleted")
            return []
        logs.write(self.row, f"{name}: run {run.pk}")
        return [run]

    def _skip(self, name: str, why: str) -> None:
        retry_metadata(lambda: self.row.record(skipped=[*self.row.skipped, {"module": name, "why": why}]))
        logs.write(self.row, f"{name}: skipped, {why}")

    def _launch(self, module: Module) -> Run | None:
        """Return the module's run, even if it could not start; None if the module was deleted. Idempotent."""
        if run := self.row.runs.filter(module=module.pk).first():
            # launched by an earlier call, after which the metadata failed
            return run
        try:
            return launch_run(module, self._request)
        except PipekitError as error:
            if not Module.objects.filter(pk=module.pk).exists():
                return None
            return insert_failed_run(module, self._request, error)

    def _has_ended(self, run: Run) -> bool:
        try:
            run.refresh_from_db()
            reap_if_dead(run)
        except Run.DoesNotExist:
            logs.write(self.row, f"{run.module_name}: run {run.pk} was deleted")
            return True
        except (DatabaseError, InterfaceError):
            connection.close()
            return False
        if run.is_final:
            self._failed = self._failed or run.status in FAILED
            logs.write(self.row, f"{run.module_name}: {run.status}")
        return run.is_final


def _members(group: Group) -> list[tuple[int, int, str]]:
    """Return run order, primary key and name of each member, in run order."""
    rows = group.members.order_by("run_order", "pk")
    return list(rows.values_list("run_order", "module_id", "module__name"))


def _cancel(group_run: GroupRun) -> None:
    """Cancel the active runs, wait for them, then finalize the group run."""
    logs.write(group_run, "cancelling")
    for run in retry_metadata(lambda: list(group_run.runs.active())):
        cancel_execution(run)
    deadline = time.monotonic() + 30
    while retry_metadata(lambda: group_run.runs.active().exists()) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    try:
        retry_metadata(lambda: _finish_cancelled(group_run))
    except IllegalTransition as error:
        logs.write(group_run, error.message)


def _finish_cancelled(group_run: GroupRun) -> None:
    left = [{"module": name, "why": "the group run was cancelled"} for name in group_run.members_not_run()]
    group_run.record(skipped=[*group_run.skipped, *left])
    group_run.finish_cancelled()

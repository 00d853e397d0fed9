"""Starts a run in a process of its own, without waiting for it, for the admin, commands and the tick."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import DatabaseError, InterfaceError

from connections.sdk.errors import PipekitError
from modules.models import Group, Module
from runs import logs
from runs.engine.faults import point
from runs.launchers.launcher import configured_launcher
from runs.lifecycle.insert import RunRequest, queue_group_run, queue_run
from runs.lifecycle.metadata_retry import close_if_broken
from runs.logs import Logged
from runs.models import GroupRun, Run
from runs.models.transitions import IllegalTransition


def launch_run(module: Module, request: RunRequest) -> Run:
    """Queue a run and start its process. Raise AlreadyRunning, naming the conflicting run.

    If the process cannot be started, the returned run has ended with that error.
    """
    run = queue_run(module, request)
    _start(run, "--run")
    return run


def launch_group_run(group: Group, request: RunRequest) -> GroupRun:
    """Queue a group run and start its process. Raises and returns as `launch_run`."""
    group_run = queue_group_run(group, request)
    _start(group_run, "--group-run")
    return group_run


def _start(row: Run | GroupRun, kind: str) -> None:
    point("launch.queued")
    try:
        process = configured_launcher().launch(["carryout", kind, str(row.pk)], log=row.log_file)
    except PipekitError as error:
        # its process may have started all the same, for example after the launcher's time limit
        with suppress(IllegalTransition):
            row.finish_error(error.as_dict(), only_if={"status": row.status})
        return
    if process is not None:
        with unstored_process_logged(row):
            row.assign_process(**process.as_fields())


@contextmanager
def unstored_process_logged(row: Logged) -> Iterator[None]:
    """Log an error of the metadata in the block, which stores the process of ``row`` after it was started.

    The process runs all the same and stores itself; until then, its death would not be noticed.
    """
    try:
        yield
    except (DatabaseError, InterfaceError) as error:
        close_if_broken()
        logs.write(row, f"the process that was started could not be stored: {error}")

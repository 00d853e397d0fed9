"""Tests of an upgrade: what an earlier version left unfinished is finished by the first tick.

The rows of the data directory in `tests.acceptance.data_directory` are changed back to what they were while their
process, which has died, was executing them.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from runs.process import identity
from tests.acceptance.data_directory.make import DIRECTORY, change, extract
from tests.processes.install import Install

pytestmark = pytest.mark.matrix

# the columns that a run has before it publishes
UNPUBLISHED = (
    "finished_at = NULL, published_at = NULL, error = NULL, read = NULL, staged = NULL, inserted = NULL, updated = NULL"
)
ERROR, MESSAGE = "json_extract(error, '$.code')", "json_extract(error, '$.message')"


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Extract the data directory, in which all processes have died, with notifications that are still due."""
    extract(tmp_path)
    here = identity.current()
    # the pid is that of a living process, which was started at another time
    dead = f"machine_id = '{here.machine}', boot_id = '{here.boot}', pid = {os.getpid()}, process_started = 1"
    metadata = tmp_path / "pipekit.db"
    (trigger,) = rows(metadata, "SELECT sql FROM sqlite_master WHERE name = 'run_log_is_final'")
    change(
        metadata,
        "DROP TRIGGER run_log_is_final",
        f"UPDATE run_log SET dest_lock_key = replace(dest_lock_key, '{DIRECTORY}', '{tmp_path}')",
        # has committed, is lost without having committed, is queued without a process
        f"UPDATE run_log SET status = 'running', {UNPUBLISHED}, {dead} WHERE id = 5",
        f"UPDATE run_log SET status = 'lost', token = 'unknown', {UNPUBLISHED}, {dead} WHERE id = 2",
        f"UPDATE run_log SET status = 'queued', {UNPUBLISHED}, started_at = NULL, pid = NULL WHERE id = 6",
        f"UPDATE group_run SET status = 'running', finished_at = NULL, {dead} WHERE id = 1",
        f"UPDATE verification SET status = 'running', finished_at = NULL, {dead} WHERE id = 1",
        f"UPDATE verification SET status = 'queued', started_at = NULL, finished_at = NULL, {dead} WHERE id = 2",
        "UPDATE outbox SET give_up_at = datetime('now', '+1 day')",
        # nothing is to be started
        "UPDATE schedule SET enabled = 0",
        trigger[0],
    )
    return Install(tmp_path)


def rows(file: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(sql).fetchall()


def test_the_first_tick_finishes_what_that_version_left_unfinished(install: Install) -> None:
    metadata = install.data_dir / "pipekit.db"
    outbox = "SELECT id, kind, channel, about, event_key, delivery_id, status FROM outbox WHERE id <= 4 ORDER BY id"
    notifications = rows(metadata, outbox)
    result = install.manage("tick")
    assert result.code == 0, result.err
    runs = rows(metadata, f"SELECT id, status, inserted, {ERROR}, {MESSAGE} FROM run_log WHERE id IN (2, 5, 6)")
    ended = f"The process of this run ended unexpectedly (process {os.getpid()} on vm); nothing was published."
    assert runs == [
        (2, "error", None, "lost", ended),
        # with the count of its commit record
        (5, "success", 1, None, None),
        (6, "error", None, "lost", "The process of this run never started; nothing was published."),
    ]
    assert rows(metadata, "SELECT status FROM group_run") == [("partial",)]
    assert rows(metadata, f"SELECT status, {ERROR} FROM verification") == [("error", "lost"), ("error", "lost")]
    assert rows(metadata, outbox) == notifications
    attempts = rows(metadata, "SELECT attempts, last_error FROM outbox WHERE event_key = 'run:3:webhook'")
    assert [(count, error.startswith("The secret $HOOK_URL is not an address.")) for count, error in attempts] == [
        (1, True)
    ]
    # the lost run is reported, and its module can run again
    assert rows(metadata, "SELECT kind FROM outbox WHERE event_key = 'run:2:webhook'") == [("failure",)]
    assert install.manage("runmodule", "customers").code == 0

"""The launcher of processes on this machine."""

from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from runs.launchers.launcher import LaunchFailed
from runs.launchers.local import LocalProcess
from runs.lifecycle.liveness import seems_dead
from runs.models import Run


def test_a_start_that_takes_too_long_fails_before_its_queued_run_is_considered_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    def run(command: list[str], *, timeout: float, **options: Any) -> None:
        waited.append(timeout)
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(LaunchFailed):
        LocalProcess().launch(["carryout"], log=tmp_path / "run.log")
    queued = Run(status="queued", created_at=timezone.now() - dt.timedelta(seconds=waited[0] + 1))
    assert not seems_dead(queued)

"""Fixtures of the crontab tests: the crontab program and a data directory for backups."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pytest_django import Settings

from tests.acceptance.scheduling.crontab.program import Program


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    program = Program(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{program.directory}:/usr/bin:/bin")
    return program


@pytest.fixture(autouse=True)
def data_dir(settings: Settings, tmp_path: Path) -> Path:
    """Use a data directory of the test's own, for the backups."""
    (tmp_path / "data").mkdir()
    settings.PIPEKIT = replace(settings.PIPEKIT, data_dir=tmp_path / "data")
    return tmp_path / "data"

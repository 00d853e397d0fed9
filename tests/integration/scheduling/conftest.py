"""Fixtures of the scheduling tests."""

from __future__ import annotations

import pytest
from pytest_django import Settings


@pytest.fixture
def nowhere(settings: Settings) -> None:
    """Queue runs without starting a process for them."""
    settings.RUN_LAUNCHER = "tests.processes.launchers.NullLauncher"

"""What tests of the tick have in common."""

from __future__ import annotations

import pytest
from pytest_django import Settings


@pytest.fixture
def nowhere(settings: Settings) -> None:
    settings.RUN_LAUNCHER = "tests.processes.launchers.Nowhere"

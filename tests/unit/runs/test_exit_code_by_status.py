"""The exit code of a command that waits, by the status of what it waited for and the signals that it received."""

from __future__ import annotations

import signal

import pytest

from connections.management.exit_codes import ExitCode
from runs.cli.exit_code_by_status import exit_code_of
from runs.lifecycle import signals
from runs.models import GroupRun, Run, Verification
from runs.models.execution import Execution


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (Run(status="success"), ExitCode.DONE),
        (Run(status="dry_run"), ExitCode.DONE),
        (Run(status="refused"), ExitCode.REFUSED),
        (Run(status="error"), ExitCode.FAILED),
        (Run(status="cancelled"), ExitCode.CANCELLED),
        (GroupRun(status="partial"), ExitCode.PARTLY),
        (GroupRun(status="cancelled"), ExitCode.CANCELLED),
        (Verification(status="equal"), ExitCode.DONE),
        (Verification(status="different"), ExitCode.PARTLY),
        (Verification(status="different", error={"code": "cancelled"}), ExitCode.CANCELLED),
    ],
)
def test_the_status_decides_on_the_exit_code(row: Execution, expected: ExitCode) -> None:
    assert exit_code_of(row) == expected


@pytest.mark.parametrize(
    ("status", "number", "expected"),
    [
        ("cancelled", signal.SIGTERM, ExitCode.TERMINATED),
        ("cancelled", signal.SIGINT, ExitCode.CANCELLED),
        ("cancelled", signals.FROM_THREAD, ExitCode.CANCELLED),
        ("success", signal.SIGTERM, ExitCode.DONE),
        ("error", signal.SIGTERM, ExitCode.FAILED),
    ],
)
def test_sigterm_changes_only_the_exit_code_of_what_was_cancelled(status: str, number: int, expected: ExitCode) -> None:
    assert exit_code_of(Run(status=status), received=[number]) == expected

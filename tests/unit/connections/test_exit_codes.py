"""The exit code of a command that did several things."""

from __future__ import annotations

import itertools

import pytest

from connections.management.exit_codes import ExitCode, worst


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ((), ExitCode.DONE),
        ((ExitCode.DONE, ExitCode.ALREADY_RUNNING), ExitCode.ALREADY_RUNNING),
        ((ExitCode.ALREADY_RUNNING, ExitCode.PARTLY), ExitCode.PARTLY),
        ((ExitCode.PARTLY, ExitCode.FAILED), ExitCode.FAILED),
        ((ExitCode.FAILED, ExitCode.REFUSED), ExitCode.FAILED),
        ((ExitCode.FAILED, ExitCode.CANCELLED, ExitCode.DONE), ExitCode.CANCELLED),
    ],
)
def test_the_worst_exit_code_is_reported_whatever_the_order(codes: tuple[ExitCode, ...], expected: ExitCode) -> None:
    assert {worst(order) for order in itertools.permutations(codes)} == {expected}

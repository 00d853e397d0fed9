"""Tests of invalid options of the command `verifymodule`: they are refused before a verification is created."""

from __future__ import annotations

import pytest

from runs.models import Verification
from tests.acceptance.runs.test_verifymodule import verifymodule

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sample", "0"), "--sample 0: not a number of rows."),
        (("--sample", "abc"), "--sample abc: not a number of rows."),
        (("--sample", "-5"), "--sample -5: not a number of rows."),
        (("--sample", "²"), "--sample ²: not a number of rows."),
        (("--sample", ""), "--sample : not a number of rows."),
        (("--columns", ""), "--columns names no column."),
        (("--columns", " ,"), "--columns names no column."),
        (("--since", ""), "--since is empty."),
        (("--force",), "--force needs --repair: only a repair has safety limits."),
        (("--cancel", "--repair"), "--cancel stops a verification; --repair starts one."),
    ],
)
def test_invalid_options_are_refused_with_a_message_and_a_fix(arguments: tuple[str, ...], message: str) -> None:
    result = verifymodule("orders", *arguments)
    assert result.code == 2
    assert result.err.startswith(f"error: {message}\nfix: ")
    assert "usage:" not in result.err
    assert not Verification.objects.exists()

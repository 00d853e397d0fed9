"""Tests of hypothesis' profiles: the default test run is deterministic, the long one generates random examples."""

from __future__ import annotations

import hypothesis
import pytest

from tests.conftest import is_long_run


def test_property_tests_generate_random_examples_only_in_the_long_run(request: pytest.FixtureRequest) -> None:
    config = request.config
    if config.getoption("--hypothesis-profile"):
        pytest.skip("a profile is selected on the command line")
    is_random = is_long_run(config.getoption("markexpr"))
    profile = hypothesis.settings()
    assert (profile.derandomize, profile.max_examples > 100) == (not is_random, is_random)


@pytest.mark.parametrize(
    ("markers", "expected"),
    [
        ("not matrix", False),
        ("not matrix and not serial", False),
        ("serial", False),
        ("hypothesis and not matrix", False),
        ("matrix", True),
        ("matrix or hypothesis", True),
        ("(matrix or hypothesis) and not serial", True),
        ("matrix or not matrix", True),
    ],
)
def test_a_run_is_long_if_its_marker_expression_selects_the_matrix(markers: str, expected: bool) -> None:
    assert is_long_run(markers) is expected

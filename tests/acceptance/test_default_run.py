"""The default run does the same each time; only the long one draws at random."""

from __future__ import annotations

import hypothesis
import pytest

from tests.conftest import is_long_run


def test_property_tests_draw_at_random_only_in_the_long_run(request: pytest.FixtureRequest) -> None:
    config = request.config
    if config.getoption("--hypothesis-profile"):
        pytest.skip("a profile was asked for by name")
    at_random = is_long_run(config.getoption("markexpr"))
    drawn = hypothesis.settings()
    assert (drawn.derandomize, drawn.max_examples > 100) == (not at_random, at_random)


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
def test_the_long_run_is_the_one_that_asks_for_the_matrices(markers: str, expected: bool) -> None:
    assert is_long_run(markers) is expected

"""Tests of the Hypothesis profiles: the default test run is deterministic, the long one generates random examples."""

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


def test_the_default_run_has_the_first_cases_of_a_test_and_the_matrices_have_the_others(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeconftest("from tests.conftest import pytest_collection_modifyitems")
    file = pytester.makepyfile(
        """
        import pytest

        @pytest.mark.default_cases(2)
        @pytest.mark.parametrize("number", range(5))
        def test_a_number(number): ...

        def test_another(): ...
        """
    )
    arguments = ("-p", "no:django", "-W", "ignore")
    for markers, name, expected in [
        ("not matrix", f"{file}", {"passed": 3, "deselected": 3}),
        ("matrix", f"{file}", {"passed": 3, "deselected": 3}),
        ("not matrix", f"{file}::test_a_number[4]", {"passed": 1}),
    ]:
        pytester.runpytest_inprocess(*arguments, "-m", markers, name).assert_outcomes(**expected)

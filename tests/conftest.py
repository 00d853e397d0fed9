"""Configuration of pytest and Hypothesis, and the plugins that provide fixtures for all tests."""

from __future__ import annotations

import gc
import os
import signal
from collections import Counter

import hypothesis
import pytest

pytest_plugins = [
    "connections.sdk.testing",
    "pytester",
    "tests.fixtures.postgresql",
    "tests.fixtures.debian_postgresql",
    "tests.fixtures.metadata",
    "tests.fixtures.engine",
    "tests.fixtures.modules",
]

# time limits would fail on a machine with much load
_NO_TIME_LIMIT = hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
# the default run is reproducible; the long one searches for new counterexamples
hypothesis.settings.register_profile("default_run", _NO_TIME_LIMIT, derandomize=True, max_examples=50)
hypothesis.settings.register_profile("long_run", _NO_TIME_LIMIT, max_examples=300)
hypothesis.settings.load_profile("default_run")


def pytest_configure(config: pytest.Config) -> None:
    """Use random and more examples if the long tests are selected. Test modules are not imported yet."""
    if not config.getoption("--hypothesis-profile") and is_long_run(config.getoption("markexpr")):
        hypothesis.settings.load_profile("long_run")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the cases of a parametrized test beyond its ``default_cases`` as part of the long matrices.

    The cases that were collected count, so one that is selected by its name is not deselected.
    """
    cases = Counter[str]()
    for item in items:
        if marker := item.get_closest_marker("default_cases"):
            test = item.nodeid.partition("[")[0]
            cases[test] += 1
            if cases[test] > marker.args[0]:
                item.add_marker(pytest.mark.matrix)


def pytest_collection_finish() -> None:
    """Exclude what the session keeps, such as tests, Django and drivers, from further garbage collections."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Use one worker more than there are cores, since tests wait for processes and servers part of the time."""
    return 1 + (os.cpu_count() or 1)


def is_long_run(markers: str) -> bool:
    """Return whether ``-m markers`` selects the long tests."""
    return "matrix" in markers.replace("not matrix", "")


# under nohup, or in the background of a script, these are ignored, and the processes that tests start inherit that
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

"""Real databases for every test: one embedded PostgreSQL a session, one database a test."""

from __future__ import annotations

import gc
import os
import signal

import hypothesis
import pytest

pytest_plugins = [
    "connections.sdk.testing",
    "pytester",
    "tests.fixtures.postgresql",
    "tests.fixtures.metadata",
    "tests.fixtures.engine",
    "tests.fixtures.modules",
]

# a busy machine is slow, not wrong; and "too slow to generate" is the same finding
_UNHURRIED = hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
# the default run must not depend on luck; the long one looks for what nobody has thought of
hypothesis.settings.register_profile("default_run", _UNHURRIED, derandomize=True)
hypothesis.settings.register_profile("long_run", _UNHURRIED, max_examples=500)
hypothesis.settings.load_profile("default_run")


def pytest_configure(config: pytest.Config) -> None:
    """Draw at random, and more, where the long tests are asked for: their modules are not imported yet."""
    if not config.getoption("--hypothesis-profile") and is_long_run(config.getoption("markexpr")):
        hypothesis.settings.load_profile("long_run")


def pytest_collection_finish() -> None:
    """Look no more for garbage among what the whole session keeps: thousands of tests, Django, the drivers."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two workers a core: a test waits for its processes and servers about as long as it computes."""
    return 2 * (os.cpu_count() or 1)


def is_long_run(markers: str) -> bool:
    """Whether ``-m markers`` asks for the long tests."""
    return "matrix" in markers.replace("not matrix", "")


# under nohup, or in the background of a script, they are ignored: every child that a test interrupts would inherit that
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

"""The conformance suite notices faults, and runs from the command line for a connector that is named there."""

from __future__ import annotations

import json
import threading

import pytest

from tests.conformance.faulty import FAULTS, NeverClosed

_MODULE = """
import pytest

from connections.sdk.testing.suite import DestinationSuite
from tests.conformance.faulty import case


class TestFaulty(DestinationSuite):
    @pytest.fixture
    def connector_under_test(self, tmp_path):
        return case({fault!r}, tmp_path)
"""
# the plugins of this project's own tests
_PLUGINS = ("-p", "connections.sdk.testing", "-p", "no:django", "-p", "no:xdist", "-p", "no:cacheprovider")


# the faults with which the suite is tested by default
_QUICK = ("truncates texts", "commits each batch", "ignores cancel", "shows the password", "leaks sessions")


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess(*_PLUGINS, *arguments)


@pytest.mark.parametrize("fault", [pytest.param(f, marks=[] if f in _QUICK else pytest.mark.matrix) for f in FAULTS])
def test_the_suite_notices_a_connector_that(pytester: pytest.Pytester, fault: str) -> None:
    expected = FAULTS[fault][1]
    pytester.makepyfile(test_faulty=_MODULE.format(fault=fault))
    result = run(pytester, "-k", expected)
    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) + outcomes.get("errors", 0) > 0, "the fault was not noticed"
    result.stdout.fnmatch_lines([f"*test_faulty.py::TestFaulty::{expected}*"])
    _clean_up()


@pytest.mark.matrix
def test_the_suite_finds_nothing_wrong_where_no_fault_is(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_faulty=_MODULE.format(fault=""))
    result = run(pytester, "-k", " or ".join({expected for _, expected in FAULTS.values()}))
    outcomes = result.parseoutcomes()
    assert outcomes.pop("passed") >= len({expected for _, expected in FAULTS.values()})
    assert not outcomes.keys() & {"failed", "errors", "skipped", "xfailed"}


def test_a_known_gap_is_reported_with_its_reason_and_not_run(pytester: pytest.Pytester) -> None:
    text = _MODULE.format(fault="does not clear").replace(
        "return case('does not clear', tmp_path)",
        "from dataclasses import replace\n"
        "        gaps = {'test_rows_are_added_and_with_clear_they_replace_the_others': 'It cannot clear.'}\n"
        "        return replace(case('does not clear', tmp_path), known_gaps=gaps)",
    )
    pytester.makepyfile(test_faulty=text)
    result = run(pytester, "-rx", "-k", "test_rows_are_added")
    assert result.parseoutcomes() == {"xfailed": 1, "deselected": result.parseoutcomes()["deselected"]}
    result.stdout.fnmatch_lines(["*It cannot clear.*"])


def test_a_connector_named_on_the_command_line_is_tested(pytester: pytest.Pytester) -> None:
    connection = {
        "url": f"jdbc:sqlite:{pytester.path / 'x.db'}",
        "options": {"create": True},
        "lacks": ["nan", "signed_zero"],
        "known_gaps": {"test_many_sessions_one_after_the_other": "Too many."},
    }
    chosen = "works_until or manifest or written_as_none or wrong_password or many_sessions or read_exactly"
    result = run(pytester, "--connector", "sqlite", "--connection", json.dumps(connection), "-k", chosen)
    outcomes = result.parseoutcomes()
    # a file has no password, and no types of the system are named
    assert (outcomes["skipped"], outcomes["xfailed"]) == (2, 1)
    assert outcomes["passed"] >= 4
    assert not outcomes.keys() & {"failed", "errors"}


@pytest.mark.parametrize("connection", ["", "{", "[]", "{}", '{"url": "x", "pasword": "y"}'])
def test_a_connection_that_is_no_connection_is_refused(pytester: pytest.Pytester, connection: str) -> None:
    result = run(pytester, "--connector", "sqlite", "--connection", connection, "-k", "works_until")
    assert result.parseoutcomes().get("errors") == 1
    result.stdout.fnmatch_lines(["*--connection*"])


def _clean_up() -> None:
    """End what a faulty connector has left."""
    while NeverClosed.kept:
        NeverClosed.kept.pop().close()
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join()

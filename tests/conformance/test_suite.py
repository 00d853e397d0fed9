"""The conformance suite detects faults, and tests a connector that is named on the command line."""

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
# the plugin of the suite, without some plugins of this project's tests
_PLUGINS = ("-p", "connections.sdk.testing", "-p", "no:django", "-p", "no:xdist", "-p", "no:cacheprovider")


# faults that are tested by default
_QUICK = (
    "truncates texts",
    "commits each batch",
    "cancels too late",
    "shows the password in errors",
    "does not close sessions",
)


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess(*_PLUGINS, *arguments)


@pytest.mark.parametrize("fault", [pytest.param(f, marks=[] if f in _QUICK else pytest.mark.matrix) for f in FAULTS])
def test_the_suite_detects_a_connector_that(pytester: pytest.Pytester, fault: str) -> None:
    expected = FAULTS[fault][1]
    pytester.makepyfile(test_faulty=_MODULE.format(fault=fault))
    result = run(pytester, "-k", expected)
    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) + outcomes.get("errors", 0) > 0, "the fault was not detected"
    result.stdout.fnmatch_lines([f"*test_faulty.py::TestFaulty::{expected}*"])
    _close_sessions()


@pytest.mark.matrix
def test_the_suite_passes_without_a_fault(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_faulty=_MODULE.format(fault=""))
    result = run(pytester, "-k", " or ".join({expected for _, expected in FAULTS.values()}))
    outcomes = result.parseoutcomes()
    assert outcomes.pop("passed") >= len({expected for _, expected in FAULTS.values()})
    assert not outcomes.keys() & {"failed", "errors", "skipped", "xfailed"}


def test_a_known_gap_is_reported_with_its_reason_and_not_executed(pytester: pytest.Pytester) -> None:
    text = _MODULE.format(fault="does not clear the table").replace(
        "return case('does not clear the table', tmp_path)",
        "from dataclasses import replace\n"
        "        gaps = {'test_rows_are_appended_or_replace_existing_rows': 'It cannot clear.'}\n"
        "        return replace(case('does not clear the table', tmp_path), known_gaps=gaps)",
    )
    pytester.makepyfile(test_faulty=text)
    result = run(pytester, "-rx", "-k", "test_rows_are_appended")
    assert result.parseoutcomes() == {"xfailed": 1, "deselected": result.parseoutcomes()["deselected"]}
    result.stdout.fnmatch_lines(["*It cannot clear.*"])


def test_a_connector_named_on_the_command_line_is_tested(pytester: pytest.Pytester) -> None:
    connection = {
        "url": f"jdbc:sqlite:{pytester.path / 'x.db'}",
        "options": {"create": True},
        "lacks": ["nan", "signed_zero"],
        "known_gaps": {"test_sessions_can_be_opened_repeatedly": "Too many."},
    }
    selection = "refuses_statements or manifest or empty_source or wrong_password or repeatedly or read_exactly"
    result = run(pytester, "--connector", "sqlite", "--connection", json.dumps(connection), "-k", selection)
    outcomes = result.parseoutcomes()
    # skipped: a file has no password, and no types of the system are given
    del outcomes["deselected"]
    assert outcomes == {"passed": 4, "skipped": 2, "xfailed": 1}


def test_the_snapshot_of_a_read_is_tested_unless_the_system_has_none(pytester: pytest.Pytester) -> None:
    connection = {"url": f"jdbc:sqlite:{pytester.path / 'x.db'}", "options": {"create": True}}
    arguments = ["--connector", "sqlite", "-k", "one_snapshot", "--connection"]
    result = run(pytester, *arguments, json.dumps(connection), "--collect-only")
    result.stdout.fnmatch_lines(["*test_a_read_sees_one_snapshot*"])
    result = run(pytester, *arguments, json.dumps({**connection, "snapshots": False}))
    assert result.parseoutcomes()["skipped"] == 1


def test_gaps_that_are_not_declared_on_the_command_line_are_named(pytester: pytest.Pytester) -> None:
    connection = {"url": f"jdbc:sqlite:{pytester.path / 'x.db'}", "options": {"create": True}}
    result = run(pytester, "--connector", "sqlite", "--connection", json.dumps(connection), "-k", "declared")
    assert result.parseoutcomes()["failed"] == 2
    result.stdout.fnmatch_lines_random(
        ['*on the command line "lacks": ?"nan", "signed_zero"?*', '*on the command line "case_sensitive": false*']
    )
    declared = {**connection, "lacks": ["nan", "signed_zero"], "case_sensitive": False}
    result = run(pytester, "--connector", "sqlite", "--connection", json.dumps(declared), "-k", "declared")
    assert result.parseoutcomes()["passed"] == 2


@pytest.mark.parametrize("connection", ["", "{", "[]", "{}", '{"url": "x", "pasword": "y"}'])
def test_an_invalid_connection_is_refused(pytester: pytest.Pytester, connection: str) -> None:
    result = run(pytester, "--connector", "sqlite", "--connection", connection, "-k", "refuses_statements")
    assert result.parseoutcomes().get("errors") == 1
    result.stdout.fnmatch_lines(["*--connection*"])


def _close_sessions() -> None:
    """Close sessions that a faulty connector has left open, and wait for its timers."""
    while NeverClosed.kept:
        NeverClosed.kept.pop().close()
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join()

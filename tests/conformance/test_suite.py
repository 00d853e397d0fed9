"""The conformance suite detects faults, and tests a connector that is named on the command line."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from connections import registry
from connections.sdk import compiled
from tests.conformance.faulty import FAULTS, NeverClosed

ROOT = Path(__file__).resolve().parents[2]
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
_QUICK = ("truncates texts", "commits each batch", "shows the password in errors")


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


@pytest.mark.matrix
def test_gaps_that_are_not_declared_on_the_command_line_are_named(pytester: pytest.Pytester) -> None:
    connection = {"url": f"jdbc:sqlite:{pytester.path / 'x.db'}", "options": {"create": True}}
    # as if the kind declared nothing itself
    undeclared = {**connection, "lacks": [], "case_sensitive": True}
    result = run(pytester, "--connector", "sqlite", "--connection", json.dumps(undeclared), "-k", "declared")
    assert result.parseoutcomes()["failed"] == 2
    result.stdout.fnmatch_lines_random(
        ['*on the command line "lacks": ?"nan", "signed_zero"?*', '*on the command line "case_sensitive": false*']
    )
    declared = {**connection, "lacks": ["nan", "signed_zero"], "case_sensitive": False}
    result = run(pytester, "--connector", "sqlite", "--connection", json.dumps(declared), "-k", "declared")
    assert result.parseoutcomes()["passed"] == 2


def test_gaps_that_the_kind_declares_are_known_on_the_command_line(pytester: pytest.Pytester) -> None:
    connection = {"url": f"jdbc:sqlite:{pytester.path / 'x.db'}", "options": {"create": True}}
    selection = "declared or close_from_another_thread"
    result = run(pytester, "-rx", "--connector", "sqlite", "--connection", json.dumps(connection), "-k", selection)
    outcomes = result.parseoutcomes()
    del outcomes["deselected"]
    assert outcomes == {"passed": 2, "xfailed": 1}
    result.stdout.fnmatch_lines(["*Without compiled modules a read cannot be interrupted*"])


@pytest.mark.matrix
def test_a_read_that_cannot_be_stopped_affects_no_other_test(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    # in a process of its own, with which the read ends; compiled modules could stop it
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv(compiled.DISABLED, "1")
    pytester.makepyfile(test_faulty=_MODULE.format(fault=""))
    selection = "close_from_another_thread or batches_are_counted or repeatedly"
    result = pytester.runpytest_subprocess(*_PLUGINS, "-v", "-k", selection, timeout=120)
    outcomes = result.parseoutcomes()
    del outcomes["deselected"]
    assert outcomes == {"passed": 2, "failed": 1}
    result.stdout.fnmatch_lines(["*PASSED*", "*PASSED*", "*close_from_another_thread*FAILED*", "*known_gaps: *"])


def test_tests_that_a_project_leaves_out_by_their_marks_are_not_left_out_of_the_suite(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeini("[pytest]\naddopts = -m 'not matrix'")
    connection = json.dumps({"url": f"jdbc:sqlite:{pytester.path / 'x.db'}"})
    arguments = ["--connector", "sqlite", "--connection", connection, "--collect-only", "-k", "large_values"]
    run(pytester, *arguments).stdout.fnmatch_lines(["*test_large_values_are_read_completely*"])
    run(pytester, *arguments, "-m", "not matrix").stdout.no_fnmatch_line("*test_large_values_are_read_completely*")


@pytest.mark.parametrize("connection", ["", "{", "[]", "{}", '{"url": "x", "pasword": "y"}'])
def test_an_invalid_connection_is_refused_before_any_test(pytester: pytest.Pytester, connection: str) -> None:
    result = run(pytester, "--connector", "sqlite", "--connection", connection)
    assert result.ret is pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --connection*"])


def test_an_invalid_declaration_of_a_kind_is_refused_before_any_test(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.manifest("sqlite")
    monkeypatch.setattr(registry, "folder", lambda kind: pytester.path)
    (pytester.path / "conformance.yaml").write_text("case_sensitive: false\nlaks: [nan]\n")
    result = run(pytester, "--connector", "sqlite", "--connection", '{"url": "jdbc:sqlite:/x.db"}')
    assert result.ret is pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --connector: *conformance.yaml:2: “laks” is unknown.*"])


@pytest.mark.parametrize(
    ("kind", "why"), [("oracle", "Rows cannot be moved from or to oracle yet."), ("sqlight", "There is no driver kind")]
)
def test_a_kind_without_a_connector_is_refused_before_any_test(pytester: pytest.Pytester, kind: str, why: str) -> None:
    result = run(pytester, "--connector", kind, "--connection", '{"url": "jdbc:oracle:thin:@//h:1521/d"}')
    assert result.ret is pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --connector: {why}*"])


def _close_sessions() -> None:
    """Close sessions that a faulty connector has left open, and wait for its timers."""
    while NeverClosed.kept:
        NeverClosed.kept.pop().close()
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join()

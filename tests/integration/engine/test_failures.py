"""Failure hooks run after every failure, and output of jrunner's libraries does not fail a transfer."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runs.engine import jrunner_process, sync
from runs.engine.events import Event, Warned
from runs.engine.plan import Hook, Plan, RunOn
from runs.engine.retry import run_with_retries
from tests.harness.bench import Bench, retry_policy

# prints on standard output, before and between the events, what is not an event
_NOISY = """
import sys
from runs.jrunner import protocol, reporter
from runs.jrunner.command import main
print("[driver] caf\\xe9 loaded; password is canary-4417")
print('["not", "an", "event"]')
send = reporter.Reporter.send
def noisy(reporter, message):
    send(reporter, message)
    is_last = isinstance(message, protocol.DoneMessage)
    print("no line break at the end" if is_last else "{broken json", end="" if is_last else "\\n")
reporter.Reporter.send = noisy
sys.exit(main(["--job", "-"]))
"""


@pytest.fixture
def plan(bench: Bench) -> Plan:
    """Return a plan of two rows whose failure hook and final hook write into a table."""
    bench.at_source("CREATE TABLE s (k INTEGER, v TEXT)", "INSERT INTO s VALUES (1, 'one'), (2, 'two')")
    bench.at_destination("CREATE TABLE hook_log (event text)")
    hooks = tuple(
        Hook(sql=f"INSERT INTO public.hook_log VALUES ('{on.value}')", run_on=on, connection=bench.destination)
        for on in (RunOn.FAILURE, RunOn.ALWAYS)
    )
    return bench.plan("SELECT k AS k, v AS v FROM s", hooks=hooks)


def broken(*arguments: Any) -> Iterator[Event]:
    raise ZeroDivisionError
    yield


@pytest.mark.parametrize("retried", [False, True])
def test_an_internal_error_runs_the_failure_hooks(
    bench: Bench, plan: Plan, monkeypatch: pytest.MonkeyPatch, retried: bool
) -> None:
    monkeypatch.setattr(sync, "transfer_rows", broken)
    events = run_with_retries(plan, retry_policy(), must_stop=lambda: False) if retried else sync.execute_plan(plan)
    with pytest.raises(ZeroDivisionError):
        list(events)
    assert bench.rows("SELECT event FROM hook_log ORDER BY 1") == [("always",), ("failure",)]


def test_an_internal_error_of_a_failure_hook_does_not_hide_the_error_of_the_run(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "transfer_rows", broken)
    monkeypatch.setattr("runs.engine.hooks.open_session", lambda connection: (_ for _ in ()).throw(KeyError("hook")))
    seen: list[Event] = []
    with pytest.raises(ZeroDivisionError):
        for event in sync.execute_plan(plan):
            seen.append(event)  # noqa: PERF402 - the list must have what came before the error
    assert any(isinstance(event, Warned) and "KeyError" in event.message for event in seen)


def test_output_of_jrunner_that_is_not_an_event_is_logged_and_ignored(
    bench: Bench, plan: Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment = jrunner_process.command("sqlite", "postgresql")[1]
    monkeypatch.setattr(jrunner_process, "command", lambda *kinds: ([sys.executable, "-c", _NOISY], environment))
    log = tmp_path / "run.log"
    result = bench.run(replace(plan, log_path=str(log)))
    assert result.counts[0] == 2
    text = log.read_text()
    for noise in ("[driver] caf", '["not", "an", "event"]', "{broken json", "no line break at the end"):
        assert f"jrunner: {noise}" in text


@pytest.fixture
def unwritable_log(tmp_path: Path) -> str:
    """The path of a log that cannot be created, because its directory is a file."""
    (tmp_path / "runs").write_text("")
    return str(tmp_path / "runs" / "1.log")


def test_a_transfer_whose_log_cannot_be_written_succeeds(
    bench: Bench, plan: Plan, monkeypatch: pytest.MonkeyPatch, unwritable_log: str
) -> None:
    environment = jrunner_process.command("sqlite", "postgresql")[1]
    monkeypatch.setattr(jrunner_process, "command", lambda *kinds: ([sys.executable, "-c", _NOISY], environment))
    assert bench.run(replace(plan, log_path=unwritable_log)).counts[0] == 2


def test_the_log_of_a_transfer_is_readable_by_owner_and_group_only(bench: Bench, plan: Plan, tmp_path: Path) -> None:
    log = tmp_path / "runs" / "1.log"
    before = os.umask(0)
    try:
        assert bench.run(replace(plan, log_path=str(log))).counts[0] == 2
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (log, log.parent)] == [0o640, 0o750]

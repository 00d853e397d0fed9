"""Waits for locks are reported at growing intervals, and a failed report does not fail the statement."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from connections.sdk import lock_wait_reports
from connections.sdk.lock_wait_reports import Wait


class Clock:
    """A clock that is advanced by the tests."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def no_failures_logged_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_wait_reports, "_logged", set())


@pytest.fixture
def reports() -> Iterator[list[str]]:
    reports: list[str] = []
    with lock_wait_reports.reported_to(reports.append):
        yield reports


def poll_for(wait: Wait, clock: Clock, *, seconds: int) -> None:
    """Poll ten times a second, as drivers do."""
    for _ in range(seconds * 10):
        clock.now = round(clock.now + 0.1, 1)
        wait.poll()


def test_a_wait_is_reported_again_at_growing_intervals(clock: Clock, reports: list[str]) -> None:
    poll_for(Wait(lambda: "waiting", clock=clock), clock, seconds=1000)
    # intervals double, up to five minutes
    assert reports == [f"waiting (for {seconds} s so far)" for seconds in (2, 12, 32, 72, 152, 312, 612, 912)]


def test_a_statement_that_does_not_wait_is_checked_at_growing_intervals(clock: Clock, reports: list[str]) -> None:
    checks: list[float] = []

    def describe() -> str:
        checks.append(clock.now - 1000)
        return ""

    poll_for(Wait(describe, clock=clock), clock, seconds=1000)
    assert checks == [2, 4, 8, 16, 32, 64, 128, 256, 512, 812]
    assert reports == []


def test_a_statement_is_not_checked_without_a_callback(clock: Clock) -> None:
    poll_for(Wait(lambda: pytest.fail("checked"), clock=clock), clock, seconds=10)


def test_a_statement_that_made_progress_no_longer_waits_for_the_lock(clock: Clock, reports: list[str]) -> None:
    wait = Wait(lambda: "waiting", clock=clock)
    poll_for(wait, clock, seconds=3)
    assert wait.last == "waiting"
    wait.restart()
    wait.poll()
    assert wait.last == ""
    poll_for(wait, clock, seconds=3)
    assert reports == ["waiting (for 2 s so far)"] * 2


def test_the_last_wait_is_cleared_when_the_statement_no_longer_waits(clock: Clock, reports: list[str]) -> None:
    descriptions = iter(["waiting", ""])
    wait = Wait(lambda: next(descriptions), clock=clock)
    poll_for(wait, clock, seconds=13)
    assert (wait.last, len(reports)) == ("", 1)


def test_an_error_in_describing_the_holder_is_logged_once(
    clock: Clock, reports: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    wait = Wait(lambda: [][1], clock=clock)
    with caplog.at_level(logging.WARNING):
        poll_for(wait, clock, seconds=100)
    assert (reports, wait.last) == ([], "")
    assert caplog.messages == ["The holder of a lock could not be determined: IndexError: list index out of range"]


def test_an_error_in_reporting_is_logged_once(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    def report(_: str) -> None:
        raise ValueError("the log is closed")

    wait = Wait(lambda: "waiting", clock=clock)
    with lock_wait_reports.reported_to(report), caplog.at_level(logging.WARNING):
        poll_for(wait, clock, seconds=100)
    assert wait.last == "waiting"
    assert caplog.messages == ["A wait for a lock could not be reported: ValueError: the log is closed"]

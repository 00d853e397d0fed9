"""When a wait for a lock is reported, by a clock that the test sets, and that a report which fails hurts nobody."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from connections.sdk import lock_waits
from connections.sdk.lock_waits import Wait


class Clock:
    """Seconds as the test has them."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def nothing_logged_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_waits, "_logged", set())


@pytest.fixture
def reports() -> Iterator[list[str]]:
    found: list[str] = []
    with lock_waits.reported_to(found.append):
        yield found


def looked_at(wait: Wait, clock: Clock, *, seconds: int) -> None:
    """Look ten times a second, as drivers do."""
    for _ in range(seconds * 10):
        clock.now = round(clock.now + 0.1, 1)
        wait.poll()


def test_a_wait_is_repeated_sparingly(clock: Clock, reports: list[str]) -> None:
    looked_at(Wait(lambda: "waiting", clock=clock), clock, seconds=1000)
    # the time between two reports doubles, up to five minutes
    assert reports == [f"waiting (for {seconds} s so far)" for seconds in (2, 12, 32, 72, 152, 312, 612, 912)]


def test_a_statement_that_works_is_asked_about_less_and_less(clock: Clock, reports: list[str]) -> None:
    asked: list[float] = []

    def describe() -> str:
        asked.append(clock.now - 1000)
        return ""

    looked_at(Wait(describe, clock=clock), clock, seconds=1000)
    assert asked == [2, 4, 8, 16, 32, 64, 128, 256, 512, 812]
    assert reports == []


def test_nobody_is_asked_while_nobody_listens(clock: Clock) -> None:
    looked_at(Wait(lambda: pytest.fail("asked"), clock=clock), clock, seconds=10)


def test_a_statement_that_goes_on_has_left_its_lock_behind(clock: Clock, reports: list[str]) -> None:
    wait = Wait(lambda: "waiting", clock=clock)
    looked_at(wait, clock, seconds=3)
    assert wait.last == "waiting"
    wait.restart()
    wait.poll()
    assert wait.last == ""
    looked_at(wait, clock, seconds=3)
    assert reports == ["waiting (for 2 s so far)"] * 2


def test_a_lock_that_is_waited_for_no_longer_is_not_the_last_one(clock: Clock, reports: list[str]) -> None:
    answers = iter(["waiting", ""])
    wait = Wait(lambda: next(answers), clock=clock)
    looked_at(wait, clock, seconds=13)
    assert (wait.last, len(reports)) == ("", 1)


def test_a_holder_that_cannot_be_described_fails_no_statement_and_is_logged_once(
    clock: Clock, reports: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    wait = Wait(lambda: [][1], clock=clock)
    with caplog.at_level(logging.WARNING):
        looked_at(wait, clock, seconds=100)
    assert (reports, wait.last) == ([], "")
    assert caplog.messages == ["The holder of a lock could not be determined: IndexError: list index out of range"]


def test_a_report_that_fails_fails_no_statement_and_is_logged_once(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def report(_: str) -> None:
        raise ValueError("the log is closed")

    wait = Wait(lambda: "waiting", clock=clock)
    with lock_waits.reported_to(report), caplog.at_level(logging.WARNING):
        looked_at(wait, clock, seconds=100)
    assert wait.last == "waiting"
    assert caplog.messages == ["A wait for a lock could not be reported: ValueError: the log is closed"]

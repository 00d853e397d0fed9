"""Hooks of runs that are retried: which are executed again, and what their errors say about the rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pytest

from connections.sdk.errors import ConnectionLost, PipekitError, QueryInvalid
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Session
from runs.engine import hooks, sync
from runs.engine.events import Event, HookStarted, Warned
from runs.engine.plan import Hook, Plan, RunOn, Strategy
from runs.engine.retry import run_with_retries
from runs.engine.sessions import open_session
from tests.harness import transfer_in_process
from tests.harness.bench import Bench, retry_policy

pytestmark = pytest.mark.usefixtures("transfer_in_process")


@pytest.fixture
def numbers(bench: Bench) -> Bench:
    bench.at_source("CREATE TABLE s (k INTEGER, v TEXT)", "INSERT INTO s VALUES (1, 'one'), (2, 'two')")
    bench.at_destination("CREATE TABLE hook_log (id serial, event text)")
    return bench


def hook(bench: Bench, event: str, run_on: RunOn = RunOn.SUCCESS, **fields: Any) -> Hook:
    """Return a hook that writes the event into the log; its connection has the event's name."""
    connection = replace(bench.destination, name=event)
    sql = f"INSERT INTO public.hook_log (event) VALUES ('{event}')"
    return Hook(**{"sql": sql, "run_on": run_on, "connection": connection, **fields})


def plan_with(bench: Bench, *planned: Hook, **changes: Any) -> Plan:
    return bench.plan("SELECT k AS k, v AS v FROM s", hooks=planned, **changes)


def logged(bench: Bench) -> list[str]:
    return [event for (event,) in bench.rows("SELECT event FROM hook_log ORDER BY id")]


@pytest.fixture
def lose(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes the connection of the hook of this name fail so many times."""
    left: dict[str, int] = {}

    def open_or_fail(connection: ConnectionParameters) -> AbstractContextManager[Session]:
        if left.get(connection.name, 0):
            left[connection.name] -= 1
            raise ConnectionLost("reset")
        return open_session(connection)

    monkeypatch.setattr(hooks, "open_session", open_or_fail)
    return lambda name, times=1: left.update({name: times})


def retried(plan: Plan, *, must_stop: bool = False) -> Iterator[Event]:
    return run_with_retries(plan, retry_policy(delay=0), must_stop=lambda: must_stop)


@pytest.mark.parametrize("key_sync", [False, True])
def test_a_hook_that_has_succeeded_is_not_executed_again_by_a_retry(numbers: Bench, lose: Any, key_sync: bool) -> None:
    planned = [hook(numbers, event) for event in ("first", "second", "third")]
    lose("second", 2)
    changes: dict[str, Any] = {"strategy": Strategy.UPSERT, "merge_key": ("k",), "key_sync": True} if key_sync else {}
    list(retried(plan_with(numbers, *planned, **changes)))
    assert logged(numbers) == ["first", "second", "third"]
    assert numbers.rows() == [(1, "one"), (2, "two")]


def test_a_hook_whose_failure_is_a_warning_is_executed_again_with_the_one_that_must_succeed(
    numbers: Bench, lose: Any
) -> None:
    planned = [hook(numbers, "lenient", must_succeed=False), hook(numbers, "strict")]
    lose("lenient")
    lose("strict")
    list(retried(plan_with(numbers, *planned)))
    assert logged(numbers) == ["lenient", "strict"]


def test_hooks_before_the_run_are_executed_at_each_attempt(numbers: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def lost_once(*arguments: Any) -> Iterator[Event]:
        calls.append(1)
        if len(calls) == 1:
            raise ConnectionLost("reset")
        return transfer_in_process.transfer(*arguments)

    monkeypatch.setattr(sync, "transfer_rows", lost_once)
    list(retried(plan_with(numbers, hook(numbers, "before", RunOn.BEFORE), hook(numbers, "after"))))
    assert logged(numbers) == ["before", "before", "after"]


@pytest.mark.parametrize("run_on", [RunOn.SUCCESS, RunOn.ALWAYS])
def test_the_error_of_a_hook_after_the_publish_says_that_the_rows_are_published(numbers: Bench, run_on: RunOn) -> None:
    broken = hook(numbers, "broken", run_on, sql="SELECT nothing FROM nowhere")
    with pytest.raises(PipekitError, match=rf"Hook 1 \({run_on.value}\) failed; the rows are published: "):
        list(retried(plan_with(numbers, broken)))
    assert numbers.rows() == [(1, "one"), (2, "two")]


def test_the_error_of_a_final_hook_after_a_failure_does_not_say_that_rows_are_published(numbers: Bench) -> None:
    broken = hook(numbers, "broken", RunOn.ALWAYS, sql="SELECT nothing FROM nowhere")
    plan = replace(plan_with(numbers, broken), source_query="SELECT k FROM nowhere")
    seen: list[Event] = []
    with pytest.raises(PipekitError, match="nowhere"):
        for event in retried(plan):
            seen.append(event)  # noqa: PERF402 - the list must have what came before the error
    (warning,) = [event.message for event in seen if isinstance(event, Warned)]
    assert warning.startswith("Hook 1 (always) failed: ")


@pytest.mark.parametrize("error", [ConnectionLost("reset"), QueryInvalid("wrong"), ZeroDivisionError()])
@pytest.mark.parametrize("is_retried", [False, True])
def test_a_failed_run_that_must_stop_executes_no_failure_hooks(
    numbers: Bench, monkeypatch: pytest.MonkeyPatch, error: Exception, is_retried: bool
) -> None:
    def fail(*arguments: Any) -> Iterator[Event]:
        raise error

    monkeypatch.setattr(sync, "transfer_rows", fail)
    plan = plan_with(numbers, hook(numbers, "failure", RunOn.FAILURE), hook(numbers, "always", RunOn.ALWAYS))
    with pytest.raises(sync.RunStopped) as caught:
        list(retried(plan, must_stop=True) if is_retried else sync.execute_plan(plan, must_stop=lambda: True))
    assert caught.value.__cause__ is error
    assert logged(numbers) == []


def test_each_hook_is_announced_before_it_is_executed(numbers: Bench) -> None:
    planned = [hook(numbers, "before", RunOn.BEFORE), hook(numbers, "after"), hook(numbers, "broken", sql="SELECT no")]
    announced: list[tuple[HookStarted, int]] = []
    with pytest.raises(PipekitError):
        for event in retried(plan_with(numbers, *planned)):
            if isinstance(event, HookStarted):
                announced.append((event, len(logged(numbers))))
    assert announced == [
        (HookStarted(1, "before", "before"), 0),
        (HookStarted(2, "success", "after"), 1),
        (HookStarted(3, "success", "broken"), 2),
    ]

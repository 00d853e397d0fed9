"""Runs that fail before the engine starts or after they were cancelled: the recorded error and the failure hooks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError

from connections.sdk.errors import ConnectionLost
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Session
from modules.models import Hook, Module
from runs.admin import formatting
from runs.engine import hooks, sync
from runs.engine.events import Event
from runs.engine.sessions import open_session
from runs.lifecycle import execute, metadata_retry, signals
from runs.lifecycle.insert import RunRequest, insert_run
from runs.lifecycle.reap import reap_row
from runs.models import Run, Setting
from runs.models.setting import current_settings
from tests.harness.bench import Bench

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("transfer_in_process")]


@pytest.fixture
def orders(numbers: Bench, save_module: Callable[..., Module]) -> Module:
    """A module with a hook for failures and one for all results."""
    numbers.at_destination("CREATE TABLE hook_log (event text)")
    module = save_module("orders", "SELECT k, v FROM s", max_retries=1, retry_delay=1)
    for event in ("failure", "always"):
        Hook.objects.create(module=module, sql=f"INSERT INTO public.hook_log VALUES ('{event}')", run_on=event)
    return module


def executed(module: Module, **options: Any) -> Run:
    """Return a run of the module after it has ended."""
    with signals.as_interrupt():
        return execute.execute_run(insert_run(module, RunRequest()), **options)


def logged(bench: Bench) -> list[str]:
    return [event for (event,) in bench.rows("SELECT event FROM hook_log ORDER BY event")]


def invalidate(**values: Any) -> None:
    """Store values as the migration from earlier versions stores those that a field cannot hold."""
    Setting.objects.update_or_create(defaults={"invalid": values})


def test_a_run_succeeds_with_the_settings_and_hooks_of_its_module(numbers: Bench, orders: Module) -> None:
    run = executed(orders)
    assert (run.status, run.warnings, logged(numbers)) == ("success", [], ["always"]), run.error


@pytest.mark.parametrize("name", ["heartbeat_seconds", "min_full_share"])
def test_an_invalid_setting_fails_the_run_with_its_name_and_runs_the_failure_hooks(
    numbers: Bench, orders: Module, name: str
) -> None:
    invalidate(**{name: True})
    run = executed(orders)
    assert run.status == Run.objects.get().status == "error"
    assert f"The stored value of the setting {name} is not valid" in (run.error or {})["message"]
    assert logged(numbers) == ["always", "failure"]


def test_an_invalid_setting_that_hooks_need_too_fails_the_run_with_its_name(numbers: Bench, orders: Module) -> None:
    invalidate(no_progress_timeout="300")
    run = executed(orders)
    assert "no_progress_timeout is not valid" in (run.error or {})["message"]
    assert "Hook 1 (failure) was not executed: The stored value of the setting no_progress_timeout" in run.warnings[0]
    assert logged(numbers) == []


def test_a_run_whose_log_limit_is_invalid_succeeds_with_a_warning(numbers: Bench, orders: Module) -> None:
    invalidate(run_log_megabytes=10**12)
    run = executed(orders)
    assert (run.status, logged(numbers)) == ("success", ["always"]), run.error
    (warning,) = run.warnings
    assert "run_log_megabytes is not valid" in warning


def test_the_settings_are_read_again_while_the_metadata_is_unavailable(
    numbers: Bench, orders: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def unavailable_once() -> Setting:
        calls.append(1)
        if len(calls) == 1:
            raise OperationalError("the connection was lost")
        return current_settings()

    monkeypatch.setattr(execute, "current_settings", unavailable_once)
    assert executed(orders).status == "success"


def test_a_run_that_cannot_read_its_settings_ends_with_that_error(
    orders: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable() -> Setting:
        raise OperationalError("the connection was lost")

    monkeypatch.setattr(execute, "current_settings", unavailable)
    monkeypatch.setattr(metadata_retry, "_TIMEOUT", 0.0)
    run = executed(orders)
    assert (run.status, "the connection was lost" in (run.error or {})["message"]) == ("error", True)


def request_cancel() -> None:
    Run.objects.update(cancel_requested=True)


@pytest.mark.parametrize("retry", [False, True])
def test_a_failure_after_a_cancel_was_requested_ends_as_cancelled_and_runs_no_hooks(
    numbers: Bench, orders: Module, monkeypatch: pytest.MonkeyPatch, retry: bool
) -> None:
    def fail(*arguments: Any) -> Iterator[Event]:
        request_cancel()
        raise ConnectionLost("reset")

    monkeypatch.setattr(sync, "transfer_rows", fail)
    run = executed(orders, retry=retry)
    assert (run.status, (run.error or {})["code"], logged(numbers)) == ("cancelled", "cancelled", [])
    assert "reset" in run.log_file.read_text()


@pytest.fixture
def interrupted(orders: Module, monkeypatch: pytest.MonkeyPatch) -> list[Hook]:
    """Hooks after success of which the second is interrupted; those of the module follow as hooks 4 and 5."""
    planned = [Hook.objects.create(module=orders, sql="SELECT 1", run_order=0) for _ in range(3)]
    opened: list[int] = []

    def interrupt_second(connection: ConnectionParameters) -> AbstractContextManager[Session]:
        opened.append(1)
        if len(opened) == 2:
            raise KeyboardInterrupt
        return open_session(connection)

    monkeypatch.setattr(hooks, "open_session", interrupt_second)
    return planned


@pytest.mark.usefixtures("interrupted")
def test_a_run_interrupted_in_a_hook_says_everywhere_that_the_rows_are_published_and_which_hooks_are_not_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call_command("runmodule", "orders")
    left = "not executed to the end: hook 2 (success), hook 3 (success), hook 5 (always)"
    out, err = capsys.readouterr()
    run = Run.objects.get()
    assert (run.status, run.inserted) == ("success", 2)
    assert f"the rows are published; {left}" in out
    for text in (err, run.log_file.read_text(), run.warnings[-1]):
        assert f"the rows are published. {left.capitalize()}" in text
    call_command("runs")
    assert f"the rows are published; {left}" in capsys.readouterr().out
    call_command("runs", json=True)
    assert json.loads(capsys.readouterr().out)[0]["unfinished"] == left.partition(": ")[2].split(", ")
    assert left in formatting.problem(run)


@pytest.mark.usefixtures("interrupted")
def test_a_run_killed_in_a_hook_is_finalized_with_the_hooks_that_are_not_done(
    orders: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*arguments: Any, **options: Any) -> None:
        raise SystemExit

    monkeypatch.setattr(execute, "_end_interrupted", killed)
    with pytest.raises(SystemExit):
        executed(orders)
    Run.objects.update(boot_id="another boot")
    run = Run.objects.get()
    assert reap_row(run)
    assert (run.status, run.not_executed[0]) == ("success", "hook 2 (success)")
    assert "the rows are published. Not executed to the end: hook 2 (success), hook 3" in run.warnings[-1]


def test_a_run_that_cannot_be_planned_and_was_cancelled_runs_no_hooks(
    numbers: Bench, orders: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        request_cancel()
        raise ConnectionLost("reset")

    monkeypatch.setattr(execute, "build_plan", fail)
    assert (executed(orders).status, logged(numbers)) == ("cancelled", [])


def test_a_run_that_was_finalized_elsewhere_runs_no_hooks_after_its_failure(
    numbers: Bench, orders: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> Iterator[Event]:
        Run.objects.get().finish_error({"code": "lost", "message": "The process ended."})
        raise ConnectionLost("reset")

    monkeypatch.setattr(sync, "transfer_rows", fail)
    run = executed(orders)
    assert (run.status, (run.error or {})["code"], logged(numbers)) == ("error", "lost", [])


def test_a_hook_that_fails_after_the_publish_and_a_cancel_is_a_warning(
    numbers: Bench, orders: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    Hook.objects.create(module=orders, sql="SELECT 1")

    def fail(*arguments: Any) -> None:
        request_cancel()
        raise ConnectionLost("reset")

    monkeypatch.setattr(hooks, "open_session", fail)
    run = executed(orders)
    assert (run.status, run.inserted, logged(numbers)) == ("success", 2, []), run.error
    failed, late = run.warnings
    assert "Hook 3 (success) failed; the rows are published: reset" in failed
    assert "too late" in late

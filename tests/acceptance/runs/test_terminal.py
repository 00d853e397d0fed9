"""Tests of the text and JSON output about runs: status, known counts, dry runs, and errors of commands."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import OutputWrapper
from django.utils import timezone

from connections.management.base import CommandFailed
from connections.sdk.errors import ConnectionFailed, ConnectionLost, DuplicateKeys, QueryInvalid
from connections.secrets.redaction import redactor
from runs.admin import formatting
from runs.cli import follow, json_report, progress
from runs.cli.text import group_run_summary, run_summary
from runs.engine import events
from runs.lifecycle.record import Recorder
from runs.models import Run, Setting
from runs.notify.messages import notification_mail
from tests.factories import GroupRunFactory, RunFactory

pytestmark = pytest.mark.django_db
UNCHANGED = "nothing was published, the destination table is unchanged"
STARTED = {step: events.StepStarted(step) for step in ("resolve", "transfer", "publish")}


def ended_by(error: Exception, *recorded: events.Event, **fields: Any) -> Run:
    """Return a run that ended with this error after these events."""
    run = RunFactory.create(**{"status": "running", "pid": 1, "log_path": "runs/ended.log", **fields})
    with Recorder(run) as recorder:
        for event in recorded:
            recorder.record(event)
        raise error
    return run


def outcome(run: Run) -> str:
    """Return what the end of a run says after its time and its strategy."""
    return run_summary(run).partition("): ")[2]


def lost(number: int) -> events.AttemptFailed:
    return events.AttemptFailed(number=number, code="connection_lost", message="reset", wait=0.1)


@pytest.mark.parametrize(
    ("error", "recorded"),
    [
        (ConnectionFailed("No."), [STARTED["resolve"]]),
        (ConnectionLost("No."), [STARTED["transfer"]]),
        (DuplicateKeys("No."), [STARTED["publish"]]),
        # the next attempt begins only if the destination has no commit record
        (ConnectionLost("No."), [STARTED["publish"], lost(1), STARTED["resolve"]]),
    ],
)
def test_a_failed_run_that_certainly_published_nothing_says_so_everywhere(
    capsys: pytest.CaptureFixture[str], error: Exception, recorded: list[events.Event]
) -> None:
    run = ended_by(error, *recorded)
    assert (outcome(run), run.effect) == (UNCHANGED, "unchanged")
    call_command("runs")
    assert f"No. [{'2 tries; ' if run.attempt > 1 else ''}{UNCHANGED}]" in capsys.readouterr().out
    assert UNCHANGED.capitalize() in formatting.error(run)
    assert json_report.run_as_json(run)["effect"] == "unchanged"
    payload = {"event": "failure", "error": run.error, "effect": run.effect, "tries": 3}
    mail = notification_mail([payload], Setting(), key="k")
    assert f"outcome:    {UNCHANGED}; 3 tries" in mail.text


def test_a_run_that_executed_a_hook_does_not_say_that_the_table_is_unchanged() -> None:
    hook = events.HookStarted(1, "before", "warehouse")
    assert outcome(ended_by(ConnectionFailed("No."), hook)) == "nothing was published"


@pytest.mark.parametrize(
    ("error", "recorded"),
    [
        (ConnectionLost("No."), [STARTED["publish"]]),
        (ValueError("No."), [STARTED["publish"]]),
        # the second attempt could not ask the destination
        (ConnectionFailed("No."), [STARTED["publish"], lost(1)]),
    ],
)
def test_the_outcome_does_not_mention_the_publish_where_it_is_uncertain(
    error: Exception, recorded: list[events.Event]
) -> None:
    run = ended_by(error, events.Staged(5, 10), *recorded)
    assert (outcome(run), run.effect) == ("5 read", None)


def test_a_failure_after_the_publish_says_so_and_shows_the_published_counts() -> None:
    published = events.Published(inserted=2, updated=0, deleted=None)
    run = ended_by(QueryInvalid("No."), events.Staged(2, 10), published)
    assert outcome(run) == "2 read, 2 inserted, 0 updated; the rows are published"


def test_the_number_of_tries_is_told_with_the_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    run = RunFactory.create(status="success", attempt=3)
    assert "full, 3 tries)" in run_summary(run)
    call_command("runs")
    assert capsys.readouterr().out.rstrip().endswith("  3 tries")


def test_dry_runs_are_marked_in_the_list_and_in_the_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = {"code": "query_invalid", "message": "No.", "hint": "", "detail": ""}
    run, dry = (RunFactory.create(status="error", error=error, dry_run=is_dry) for is_dry in (False, True))
    call_command("runs")
    second, first = capsys.readouterr().out.splitlines()
    assert "  error (dry run)  " in second and "(dry run)" not in first
    assert (json_report.run_as_json(run)["dry_run"], json_report.run_as_json(dry)["dry_run"]) == (False, True)


def test_repairs_are_marked_in_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    error = {"code": "safety_limit", "message": "No.", "hint": "", "detail": ""}
    RunFactory.create(status="success")
    RunFactory.create(status="success", trigger="verification:7")
    RunFactory.create(status="refused", trigger="verification:8", error=error)
    call_command("runs")
    refused, repaired, run = capsys.readouterr().out.splitlines()
    assert (refused.split()[-2:], repaired.split()[-1]) == (["repair:", "No."], "repair")
    assert "repair" not in run


def test_the_list_of_runs_has_a_header_only_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFactory.create(status="success", read=3)
    call_command("runs")
    (line,) = capsys.readouterr().out.splitlines()
    monkeypatch.setattr(OutputWrapper, "isatty", lambda self: True)
    call_command("runs", no_color=True)
    header, same = capsys.readouterr().out.splitlines()
    assert header.split() == ["run", "module", "status", "started", "time", "read", "error"]
    assert same == line and header.index("status") == line.index("success") and str(run.pk) in line


def test_the_progress_shows_no_secrets() -> None:
    redactor().add("canary-6614")
    lines: list[str] = []
    shown: list[events.Event] = [
        events.Warned("A failure hook failed: KeyError: 'canary-6614'"),
        events.Waiting("waiting for canary-6614"),
        events.AttemptFailed(number=1, code="connection_failed", message="no canary-6614", wait=1),
    ]
    for quiet in (False, True):
        print_event = progress.event_printer(SimpleNamespace(write=lines.append), quiet=quiet)
        for event in shown:
            print_event(event)
    assert len(lines) == 5
    assert "canary" not in "".join(lines)


def test_hooks_are_shown_one_by_one_and_retries_with_both_counts() -> None:
    failed = events.AttemptFailed(
        number=7,
        code="connection_failed",
        message="No.",
        wait=1.0,
        connecting=True,
        attempt=2,
        max_attempts=4,
        connection_try=3,
        max_connection_tries=4,
    )
    lines: list[str] = []
    print_event = progress.event_printer(SimpleNamespace(write=lines.append), quiet=False)
    print_event(failed)
    print_event(events.HookStarted(1, "before", "warehouse"))
    # as for a module without hooks
    print_event(events.StepStarted("hooks"))
    assert lines == [
        "  attempt 2 of 4, connection try 3 of 4 failed: No.",
        "  retrying in 1.0 s",
        "hook 1 (before) on warehouse ...",
    ]


@pytest.mark.parametrize("quiet", [False, True])
def test_the_warnings_of_a_transaction_that_may_be_committed_are_shown(quiet: bool) -> None:
    lines: list[str] = []
    print_event = progress.event_printer(SimpleNamespace(write=lines.append), quiet=quiet)
    print_event(events.Unconfirmed([events.MergeSqlBuilt("DELETE FROM t;"), events.Warned("One row is kept.")]))
    assert [line.strip() for line in lines] == ["warning: One row is kept."]


def test_the_log_of_a_run_has_a_line_for_each_hook_and_none_for_the_step() -> None:
    run = RunFactory.create(status="running", pid=1, log_path="runs/hooks.log")
    with Recorder(run) as recorder:
        recorder.record(events.StepStarted("hooks"))
        recorder.record(events.HookStarted(2, "success", "warehouse"))
        recorder.record(events.HookSucceeded(2))
        recorder.record(events.StepFinished("hooks", 0.1))
    log = run.log_file.read_text()
    assert "hook 2 (success) on warehouse ..." in log and "hook 2 done" in log and "hooks" not in log
    assert run.steps == [{"step": "hooks", "seconds": 0.1}]


def test_the_summary_of_a_group_run_shows_what_to_do_about_the_errors_of_its_members() -> None:
    group_run = GroupRunFactory.create(status="error")
    error = {"code": "query_invalid", "message": "It is wrong.", "hint": "Correct it.", "detail": ""}
    RunFactory.create(group_run=group_run, status="error", error=error)
    assert group_run_summary(group_run).splitlines()[-3:] == [
        "    error: It is wrong.",
        "    fix:   Correct it.",
        "    code:  query_invalid",
    ]


def test_waiting_for_a_group_run_reports_the_failures_of_members_that_are_retried() -> None:
    group_run = GroupRunFactory.create(status="success")
    failures = [{"number": number, "message": f"No {number}.", "wait": 1.0} for number in (1, 2)]
    run = RunFactory.create(group_run=group_run, status="success", attempts=failures)
    written: list[str] = []
    follow.watch_group(group_run, written.append)
    assert written[1:] == [f"{run.module_name}: No {number}. Retrying in 1.0 s." for number in (1, 2)]


def test_a_number_of_bytes_is_formatted_alike_in_the_admin_and_on_the_terminal() -> None:
    lines: list[str] = []
    progress.event_printer(SimpleNamespace(write=lines.append), quiet=False)(events.TransferProgress(2, 8590))
    assert lines == ["  2 rows, 8.6 kB"]
    assert "<b>8.6 kB</b>" in formatting.counts(RunFactory.create(bytes=8590))


@pytest.mark.parametrize("command", ["runlog", "cancelrun"])
def test_a_run_that_does_not_exist_is_an_error_with_a_code_and_exit_code_3(command: str) -> None:
    with pytest.raises(CommandFailed) as failed:
        call_command(command, "999999")
    assert (failed.value.returncode, failed.value.details["code"]) == (3, "not_found")


def test_the_cancel_of_a_run_that_has_ended_is_an_error_with_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    run = RunFactory.create(status="success")
    with pytest.raises(CommandFailed) as failed:
        call_command("cancelrun", str(run.pk))
    assert capsys.readouterr().out == f"run {run.pk}: over already: success\n"
    assert (failed.value.returncode, failed.value.details["code"]) == (1, "over_already")
    assert failed.value.details["hint"]


def test_a_cancel_after_the_publish_says_that_the_rows_stay_and_how_the_run_ended(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFactory.create(status="running", published_at=timezone.now())
    # it ends while it is being cancelled
    monkeypatch.setattr(Run, "request_cancel", lambda run: Run.objects.filter(pk=run.pk).update(status="success"))
    with pytest.raises(CommandFailed) as failed:
        call_command("cancelrun", str(run.pk))
    assert capsys.readouterr().out == f"run {run.pk}: too late, published\n"
    assert (failed.value.returncode, failed.value.details["code"]) == (1, "over_already")
    assert failed.value.details["message"] == "The cancel came too late: the run had published, and has ended: success."
    assert "The rows stay" in failed.value.details["hint"]

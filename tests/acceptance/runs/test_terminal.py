"""What the terminal and the JSON say of a run: its status, the counts that are known, and whether it was a dry run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import OutputWrapper
from django.utils import timezone

from connections.management.base import CommandFailed
from runs.admin import formatting
from runs.cli import json_report, text
from runs.engine import events
from tests.factories import RunFactory

pytestmark = pytest.mark.django_db
TRANSFERRED = [{"step": "transfer", "seconds": 0.1}]


def failed(code: str, **fields: Any) -> str:
    error = {"code": code, "message": "No.", "hint": "", "detail": ""}
    run = RunFactory.create(**{"status": "error", "error": error, **fields})
    return text.summary(run).partition("): ")[2]


def test_a_run_that_failed_before_it_published_says_so_and_shows_no_unknown_number() -> None:
    assert failed("connection_failed") == "nothing was published"
    assert failed("query_invalid", read=0) == "0 read, nothing was published"
    assert failed("safety_limit", status="refused", read=3, steps=TRANSFERRED) == "3 read, nothing was published"
    assert failed("duplicate_keys", read=1234, steps=TRANSFERRED) == "1,234 read, nothing was published"


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("connection_lost", {"steps": TRANSFERRED}),
        ("internal", {"steps": TRANSFERRED}),
        ("lost", {}),
        ("cancelled", {"status": "cancelled"}),
        # the first attempt may have published
        ("connection_failed", {"attempts": [{"number": 1}]}),
    ],
)
def test_where_it_is_not_certain_whether_a_run_published_nothing_is_said_of_it(
    code: str, fields: dict[str, Any]
) -> None:
    assert failed(code, read=5, **fields) == "5 read"


def test_a_run_that_failed_after_it_had_published_shows_what_it_changed() -> None:
    told = failed("query_invalid", published_at=timezone.now(), read=2, inserted=2, updated=0, steps=TRANSFERRED)
    assert told == "2 read, 2 inserted, 0 updated"


def test_a_failed_dry_run_differs_from_a_failed_run_in_the_list_and_in_the_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = {"code": "query_invalid", "message": "No.", "hint": "", "detail": ""}
    run, dry = (RunFactory.create(status="error", error=error, dry_run=is_dry) for is_dry in (False, True))
    call_command("runs")
    second, first = capsys.readouterr().out.splitlines()
    assert "  error (dry run)  " in second and "(dry run)" not in first
    assert (json_report.as_json(run)["dry_run"], json_report.as_json(dry)["dry_run"]) == (False, True)


def test_the_list_of_runs_has_a_header_where_people_read_it(
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


def test_a_number_of_bytes_is_the_same_on_the_page_and_on_the_terminal() -> None:
    said: list[str] = []
    text.event_printer(SimpleNamespace(write=said.append), quiet=False)(events.Progress(2, 8590))
    assert said == ["  2 rows, 8.6 kB"]
    assert "<b>8.6 kB</b>" in formatting.counts(RunFactory.create(bytes=8590))


@pytest.mark.parametrize("command", ["runlog", "cancelrun"])
def test_a_run_that_does_not_exist_is_an_error_with_a_code(command: str) -> None:
    with pytest.raises(CommandFailed) as failed:
        call_command(command, "999999")
    assert (failed.value.returncode, failed.value.details["code"]) == (3, "not_found")


def test_a_cancel_of_a_run_that_has_ended_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    run = RunFactory.create(status="success")
    with pytest.raises(CommandFailed) as failed:
        call_command("cancelrun", str(run.pk))
    assert capsys.readouterr().out == f"run {run.pk}: over already: success\n"
    assert (failed.value.returncode, failed.value.details["code"]) == (1, "over_already")
    assert failed.value.details["hint"]

"""The log files of runs, group runs and verifications whose numbers were given before, or that are gone."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from connections.management.base import CommandFailed
from runs import logs
from runs.admin import formatting
from runs.lifecycle.insert import RunRequest, insert_run, queue_group_run
from runs.models import GroupRun, Run, Verification
from runs.verifications.insert import VerificationRequest, insert_verification
from tests.factories import GroupFactory, ModuleFactory, RunFactory

pytestmark = pytest.mark.django_db
INSERT: list[tuple[str, Callable[[], Run | GroupRun | Verification]]] = [
    ("runs", lambda: insert_run(ModuleFactory.create(), RunRequest())),
    ("group_runs", lambda: queue_group_run(GroupFactory.create(), RunRequest())),
    ("verifications", lambda: insert_verification(ModuleFactory.create(), VerificationRequest())),
]


@pytest.mark.parametrize(("folder", "insert"), INSERT)
def test_the_log_of_an_earlier_row_with_the_same_number_is_kept_apart(
    folder: str, insert: Callable[[], Run | GroupRun | Verification]
) -> None:
    directory = Path(settings.PIPEKIT.log_dir) / folder
    directory.mkdir(parents=True, exist_ok=True)
    # numbers follow each other
    earlier = directory / f"{insert().pk + 1}.log"
    earlier.write_text("of an earlier one\n")
    os.utime(earlier, (1.8e9, 1.8e9))
    row = insert()
    assert row.log_file == earlier
    logs.write(row, "its own")
    kept = earlier.with_name(f"{earlier.stem}.until-20270115T080000.000000Z.log")
    assert kept.read_text() == "of an earlier one\n"
    first, second = earlier.read_text().splitlines()
    assert f"the log of an earlier run, group run or verification with this number is kept in {kept}: " in first
    assert second.endswith("its own")


@pytest.mark.parametrize(
    ("ended", "reason"),
    [
        (dt.timedelta(days=1), "it was deleted or moved, or the metadata was restored without the logs"),
        (dt.timedelta(days=31), "logs are deleted after 30 days (the setting log_retention_days)"),
    ],
)
def test_runlog_and_the_page_say_why_a_run_has_no_log_any_more(ended: dt.timedelta, reason: str) -> None:
    run = RunFactory.create(status="success", log_path="runs/gone.log", finished_at=timezone.now() - ended)
    with pytest.raises(CommandFailed) as failed:
        call_command("runlog", str(run.pk))
    text = f"Its log file {run.log_file} does not exist any more: {reason}."
    assert failed.value.details["message"] == f"Run {run.pk}: {text}"
    assert (failed.value.details["code"], failed.value.returncode) == ("not_found", 3)
    assert formatting.log(run) == text


def test_a_log_that_exists_but_cannot_be_read_is_not_reported_as_gone(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    # a directory, and a file as a directory on the way
    for path, reason in ((tmp_path, "Is a directory"), (tmp_path / "file" / "1.log", "Not a directory")):
        run = RunFactory.create(status="success", log_path=str(path))
        with pytest.raises(CommandFailed, match=f"cannot be read: {reason}") as failed:
            call_command("runlog", str(run.pk))
        assert (failed.value.details["code"], failed.value.returncode) == ("file_unreadable", 1)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"status": "queued", "log_path": "runs/later.log"}, "Nothing has been logged yet: it is queued."),
        (
            {"status": "error", "log_path": ""},
            "It has no log: it ended before its process was started, as its error says.",
        ),
    ],
)
def test_runlog_of_a_run_that_has_logged_nothing_says_so(
    capsys: pytest.CaptureFixture[str], fields: dict[str, str], reason: str
) -> None:
    run = RunFactory.create(**fields)
    call_command("runlog", str(run.pk))
    assert capsys.readouterr() == ("", f"Run {run.pk}: {reason}\n")

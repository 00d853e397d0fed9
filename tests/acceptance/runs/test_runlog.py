"""Tests of run logs, which are read by offset while they grow and cut in the middle, and of the list of runs."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.utils import timezone

from modules.models import Module
from runs import logs
from runs.cli import follow
from runs.lifecycle.cancel import CancelResult, stop_execution
from runs.models import GroupRun, Run
from runs.models.states import Status
from runs.process import identity
from tests.factories import GroupRunFactory, RunFactory, create_running_run
from tests.harness.bench import Bench
from tests.processes.commands import manage, start, wait_until

Save = Callable[..., Module]
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Log:
    """The attribute of a run that the functions for logs need."""

    log_file: Path


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "runs" / "1.log")


def read_all(log: Log, offset: int = 0, limit: int = 1 << 20) -> tuple[str, int]:
    """Return the text from the offset to the end of the log, read in parts, and the offset of the end."""
    texts = []
    while (part := logs.read(log, offset, limit))[1] > offset:
        text, offset = part
        texts.append(text)
    return "".join(texts), offset


def test_reading_continues_at_the_returned_offset(log: Log) -> None:
    assert logs.read(log) == ("", 0)
    logs.write(log, "first")
    text, offset = logs.read(log)
    assert text.endswith("first\n")
    assert logs.read(log, offset) == ("", offset)
    logs.write(log, "second")
    text, offset = logs.read(log, offset)
    assert text.endswith("second\n")
    assert offset == log.log_file.stat().st_size


def test_only_complete_characters_are_read_whatever_the_limit_and_the_progress_of_the_writer(log: Log) -> None:
    logs.write(log, "žluťoučký kůň €")
    content = log.log_file.read_text()
    for limit in range(4, 12):
        assert read_all(log, limit=limit)[0] == content
    with log.log_file.open("ab") as file:
        file.write("ž".encode()[:1])
    text, offset = read_all(log)
    assert text == content
    with log.log_file.open("ab") as file:
        file.write("ž".encode()[1:])
    assert logs.read(log, offset)[0] == "ž"


def lines(first: int, last: int) -> str:
    """Return numbered lines of 13 bytes."""
    return "".join(f"line {number:07d}\n" for number in range(first, last))


def test_a_log_that_is_too_long_keeps_both_ends_and_a_line_about_the_cut(log: Log) -> None:
    log.log_file.parent.mkdir()
    log.log_file.write_text(lines(0, 200_000))
    size = log.log_file.stat().st_size
    logs.cap(log, most=MEGABYTE)
    assert log.log_file.stat().st_size < MEGABYTE
    text, offset = read_all(log)
    assert offset == size
    assert text.startswith("line 0000000\nline 0000001\n")
    assert text.endswith("line 0199999\n")
    (mark,) = [line for line in text.splitlines() if not line.startswith("line ")]
    assert int(mark.split()[1]) == size - (len(text) - len(mark) - 1)
    # only complete lines, in order and without duplicates
    remaining = [line for line in text.splitlines() if line.startswith("line ")]
    assert remaining == sorted(set(remaining))
    assert {len(line) for line in remaining} == {12}


@pytest.mark.matrix
def test_reading_and_writing_continue_across_a_cut(log: Log) -> None:
    log.log_file.parent.mkdir()
    log.log_file.write_text(lines(0, 100_000))
    _, offset = read_all(log)
    writer = log.log_file.open("a")
    writer.write(lines(100_000, 200_000))
    writer.flush()
    for number in range(200_000, 500_000, 50_000):
        logs.cap(log, most=MEGABYTE)
        # a file that was opened before the cut is still appended to
        writer.write(lines(number, number + 50_000))
        writer.flush()
    logs.cap(log, most=MEGABYTE)
    rest, end = read_all(log, offset)
    assert end == len(lines(0, 500_000))
    assert rest.startswith("--- ")
    assert rest.endswith("line 0499999\n")
    # no line after the cut is missing
    assert read_all(log, end - 13 * 1000)[0] == lines(499_000, 500_000)
    assert log.log_file.read_text().count("were cut out") == 1
    writer.close()


@pytest.fixture
def orders(bench: Bench, save_module: Save) -> Module:
    bench.at_source("CREATE TABLE s (k INTEGER)", "INSERT INTO s VALUES (1)")
    return save_module("orders", "SELECT k FROM s")


@pytest.mark.matrix
def test_runlog_follows_a_log_until_the_run_has_ended(orders: Module) -> None:
    process = start("runmodule", "orders", "--quiet", PIPEKIT_FAULTS="transfer.started=sleep:2")
    wait_until(Run.objects.exists)
    run = Run.objects.get()
    result = manage("runlog", str(run.pk), "--follow")
    assert Run.objects.get().is_final
    assert result.code == 0
    assert result.out == run.log_file.read_text()
    assert "ended: success" in result.out
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert manage("runlog", str(run.pk)).out == result.out


@pytest.mark.django_db
def test_following_a_log_waits_for_the_line_that_the_process_writes_after_the_final_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "_LAST_LINE", dt.timedelta(seconds=60))
    log = tmp_path / "run.log"
    log.write_text("publish done\n")
    code = f"import time; time.sleep(0.7); open({str(log)!r}, 'a').write('ended: success\\n')"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        values = identity.of_pid(process.pid).as_fields()
        run = RunFactory.create(status=Status.SUCCESS, finished_at=timezone.now(), log_path=str(log), **values)
        assert "".join(follow.follow_log(run, follow=True)) == "publish done\nended: success\n"


def test_the_error_of_a_run_process_that_cannot_start_is_in_the_log_of_the_run(
    orders: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runs.lifecycle.insert import RunRequest
    from runs.lifecycle.launch import launch_run

    monkeypatch.setenv("PIPEKIT_API_PORT", "nonsense")
    run = launch_run(orders, RunRequest())
    wait_until(lambda: run.log_file.exists() and "PIPEKIT_API_PORT" in run.log_file.read_text())


@pytest.mark.matrix
@pytest.mark.django_db(transaction=True)
def test_runs_lists_the_newest_run_first_and_can_filter_and_limit() -> None:
    first, second = RunFactory.create(status="success"), RunFactory.create(status="error", error={"message": "No."})
    result = manage("runs", "--json")
    assert [run["run"] for run in result.json] == [second.pk, first.pk]
    assert result.json[0]["status"] == "error"
    assert [run["run"] for run in manage("runs", "--json", "--limit", "1").json] == [second.pk]
    result = manage("runs", "--module", first.module_name)
    assert first.module_name in result.out
    assert second.module_name not in result.out
    assert manage("runs", "--module", "nothing").code == 3
    assert manage("runs", "--limit", "none").code == 2
    assert manage("runlog", "999999").code == 3


@pytest.mark.django_db
def test_the_log_of_a_run_that_is_pruned_while_it_is_followed_is_read_to_its_end() -> None:
    run = create_running_run()
    Run.objects.filter(pk=run.pk).update(log_path="runs/pruned.log", **identity.current().as_fields())
    run.refresh_from_db()
    logs.write(run, "first")
    texts = follow.follow_log(run, follow=True)
    assert next(texts).endswith("first\n")
    logs.write(run, "last")
    Run.objects.filter(pk=run.pk).delete()
    assert [text[-5:] for text in texts] == ["last\n"]


@pytest.mark.django_db
def test_waiting_for_a_group_run_ends_when_it_is_deleted() -> None:
    group_run = GroupRunFactory.create()
    GroupRun.objects.filter(pk=group_run.pk).delete()
    written: list[str] = []
    follow.watch_group(group_run, written.append)
    assert written == [f"The group run {group_run.pk} was deleted."]


@pytest.mark.django_db
def test_cancelling_a_run_that_is_deleted_says_that_it_has_ended() -> None:
    run = RunFactory.create()
    Run.objects.filter(pk=run.pk).delete()
    assert stop_execution(run) is CancelResult.ENDED

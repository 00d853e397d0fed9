"""The live log: read by offset while it grows, capped in the middle; and the lists of runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from modules.models import Module
from runs import logs
from runs.models import Run
from tests.benches.bench import Bench
from tests.factories import RunFactory
from tests.processes.commands import manage, start, wait_until

Save = Callable[..., Module]
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Log:
    log_file: Path


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "runs" / "1.log")


def read_all(log: Log, offset: int = 0, limit: int = 1 << 20) -> tuple[str, int]:
    texts = []
    while (found := logs.read(log, offset, limit))[1] > offset:
        text, offset = found
        texts.append(text)
    return "".join(texts), offset


def test_reading_goes_on_where_it_ended(log: Log) -> None:
    assert logs.read(log) == ("", 0)
    logs.write(log, "first")
    text, offset = logs.read(log)
    assert text.endswith("first\n")
    assert logs.read(log, offset) == ("", offset)
    logs.write(log, "second")
    text, offset = logs.read(log, offset)
    assert text.endswith("second\n")
    assert offset == log.log_file.stat().st_size


def test_no_character_is_torn_by_a_limit_or_by_a_writer_in_its_middle(log: Log) -> None:
    logs.write(log, "žluťoučký kůň €")
    whole = log.log_file.read_text()
    for limit in range(4, 12):
        assert read_all(log, limit=limit)[0] == whole
    with log.log_file.open("ab") as file:
        file.write("ž".encode()[:1])
    text, offset = read_all(log)
    assert text == whole
    with log.log_file.open("ab") as file:
        file.write("ž".encode()[1:])
    assert logs.read(log, offset)[0] == "ž"


def lines(first: int, last: int) -> str:
    return "".join(f"line {number:07d}\n" for number in range(first, last))


def test_a_long_log_keeps_its_head_and_tail_and_says_what_was_cut(log: Log) -> None:
    log.log_file.parent.mkdir()
    log.log_file.write_text(lines(0, 200_000))
    ever = log.log_file.stat().st_size
    logs.cap(log, most=MEGABYTE)
    assert log.log_file.stat().st_size < MEGABYTE
    text, offset = read_all(log)
    assert offset == ever
    assert text.startswith("line 0000000\nline 0000001\n")
    assert text.endswith("line 0199999\n")
    (mark,) = [line for line in text.splitlines() if not line.startswith("line ")]
    assert int(mark.split()[1]) == ever - (len(text) - len(mark) - 1)
    # nothing but whole lines, none of them twice
    kept = [line for line in text.splitlines() if line.startswith("line ")]
    assert kept == sorted(set(kept))
    assert {len(line) for line in kept} == {12}


def test_a_reader_goes_on_over_the_cut(log: Log) -> None:
    log.log_file.parent.mkdir()
    log.log_file.write_text(lines(0, 100_000))
    read, offset = read_all(log)
    writer = log.log_file.open("a")
    writer.write(lines(100_000, 200_000))
    writer.flush()
    for number in range(200_000, 500_000, 50_000):
        logs.cap(log, most=MEGABYTE)
        # who appended before the cut goes on appending after it
        writer.write(lines(number, number + 50_000))
        writer.flush()
    logs.cap(log, most=MEGABYTE)
    rest, end = read_all(log, offset)
    assert end == len(lines(0, 500_000))
    assert rest.startswith("--- ")
    assert rest.endswith("line 0499999\n")
    # one that is near the end misses nothing
    assert read_all(log, end - 13 * 1000)[0] == lines(499_000, 500_000)
    assert log.log_file.read_text().count("were cut out") == 1
    writer.close()


@pytest.fixture
def orders(bench: Bench, save_module: Save) -> Module:
    bench.at_source("CREATE TABLE s (k INTEGER)", "INSERT INTO s VALUES (1)")
    return save_module("orders", "SELECT k FROM s")


@pytest.mark.matrix
def test_the_log_is_followed_until_the_run_is_over(orders: Module) -> None:
    running = start("runmodule", "orders", "--quiet", PIPEKIT_FAULTS="transfer.started=sleep:2")
    wait_until(Run.objects.exists)
    run = Run.objects.get()
    followed = manage("runlog", str(run.pk), "--follow")
    assert Run.objects.get().is_final
    assert followed.code == 0
    assert followed.out == run.log_file.read_text()
    assert "ended: success" in followed.out
    running.communicate(timeout=120)
    assert running.returncode == 0
    assert manage("runlog", str(run.pk)).out == followed.out


def test_what_a_run_that_could_not_start_says_is_in_its_log(orders: Module, monkeypatch: pytest.MonkeyPatch) -> None:
    from runs.lifecycle.claim import Request
    from runs.lifecycle.launch import launch

    monkeypatch.setenv("PIPEKIT_API_PORT", "nonsense")
    run = launch(orders, Request())
    wait_until(lambda: run.log_file.exists() and "PIPEKIT_API_PORT" in run.log_file.read_text())


@pytest.mark.matrix
@pytest.mark.django_db(transaction=True)
def test_runs_are_listed_newest_first() -> None:
    first, second = RunFactory.create(status="success"), RunFactory.create(status="error", error={"message": "No."})
    done = manage("runs", "--json")
    assert [run["run"] for run in done.json] == [second.pk, first.pk]
    assert done.json[0]["status"] == "error"
    assert [run["run"] for run in manage("runs", "--json", "--limit", "1").json] == [second.pk]
    mine = manage("runs", "--module", first.module_name)
    assert first.module_name in mine.out
    assert second.module_name not in mine.out
    assert manage("runs", "--module", "nothing").code == 3
    assert manage("runs", "--limit", "none").code == 2
    assert manage("runlog", "999999").code == 3

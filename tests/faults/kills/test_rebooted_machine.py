"""The machine went down with a run on it: the first tick after the boot settles the run, whoever has its pid now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from modules.models import Module
from runs.engine.plan import Strategy
from runs.models import Run
from runs.process import identity
from tests.benches.bench import Bench
from tests.faults.changing_source import QUERY, Generator, bytes_of, evidence, stored
from tests.faults.killed_runs import ended, faults
from tests.processes.commands import manage, start

pytestmark = [pytest.mark.matrix, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def generator(pg_bench: Bench, save_module: Callable[..., Module], save_connection: Any) -> Generator:
    """An append, which would show every row twice that is published twice."""
    found = Generator(pg_bench, Strategy.APPEND, Random(9))
    found.begin(60)
    pg_bench.run(found.plan())
    found.move_on()
    source = save_connection(pg_bench.source)
    save_module("orders", QUERY, source=source, dest_table="sync.t", merge_strategy="append", watermark_column="w")
    return found


def went_down(point: str, log: Path, *, boot: str) -> Run:
    """Kill a run at the point and give its pid to a process that lives, this one, in a boot of that name."""
    process = start("runmodule", "orders", "--quiet", **faults(f"{point}=kill9", log))
    process.communicate(timeout=90)
    assert ended(process.returncode, log).killed
    here = identity.current()
    Run.objects.update(pid=here.pid, process_started=here.started, boot_id=boot)
    return Run.objects.get()


@pytest.mark.parametrize(
    ("point", "status", "word"),
    [
        ("publish.before_commit", "error", "nothing was published"),
        ("publish.after_commit", "success", "commit record"),
    ],
)
def test_a_run_of_an_earlier_boot_is_settled_by_the_first_tick(
    generator: Generator, point: str, status: str, word: str, tmp_path: Path
) -> None:
    before = bytes_of(generator.bench)
    run = went_down(point, tmp_path / "points", boot="another boot")
    assert manage("tick").code == 0
    run.refresh_from_db()
    assert run.status == status
    assert word in f"{run.error}{run.warnings}"
    assert (bytes_of(generator.bench) == before) is (status == "error")
    done = manage("runmodule", "orders", "--json")
    assert done.code == 0, done.err
    assert evidence(stored(generator.bench)) == evidence(generator.expected())


def test_a_run_of_this_boot_whose_process_lives_is_left_alone(generator: Generator, tmp_path: Path) -> None:
    run = went_down("transfer.started", tmp_path / "points", boot=identity.current().boot)
    assert manage("tick").code == 0
    run.refresh_from_db()
    assert run.status == "running"
    done = manage("runmodule", "orders", "--json")
    assert (done.code, f"run {run.pk}" in done.err) == (4, True)

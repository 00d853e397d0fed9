"""Runs that were active when the machine went down: the first tick finalizes them, even if their pids are in use."""

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
from tests.faults.changing_source import QUERY, Generator, digest, stored_rows, table_bytes
from tests.faults.killed_runs import fault_environment, read_result
from tests.harness.bench import Bench
from tests.processes.commands import manage, start

pytestmark = [pytest.mark.matrix, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def generator(pg_bench: Bench, save_module: Callable[..., Module], save_connection: Any) -> Generator:
    """The source of an append that has run once; it has changed since. A second publish would double rows."""
    generator = Generator(pg_bench, Strategy.APPEND, Random(9))
    generator.create_table(60)
    pg_bench.run(generator.plan())
    generator.change_rows()
    source = save_connection(pg_bench.source)
    save_module("orders", QUERY, source=source, dest_table="sync.t", merge_strategy="append", watermark_column="w")
    return generator


def kill_run(point: str, log: Path, *, boot: str) -> Run:
    """Kill a run at the point; return its row, with the pid of this living process and this boot id."""
    process = start("runmodule", "orders", "--quiet", **fault_environment(f"{point}=kill9", log))
    process.communicate(timeout=90)
    assert read_result(process.returncode, log).killed
    this_process = identity.current()
    Run.objects.update(pid=this_process.pid, process_started=this_process.started, boot_id=boot)
    return Run.objects.get()


@pytest.mark.parametrize(
    ("point", "status", "message"),
    [
        ("publish.before_commit", "error", "nothing was published"),
        ("publish.after_commit", "success", "commit record"),
    ],
)
def test_a_run_of_an_earlier_boot_is_finalized_by_the_first_tick(
    generator: Generator, point: str, status: str, message: str, tmp_path: Path
) -> None:
    before = table_bytes(generator.bench)
    run = kill_run(point, tmp_path / "points", boot="another boot")
    assert manage("tick").code == 0
    run.refresh_from_db()
    assert run.status == status
    assert message in f"{run.error}{run.warnings}"
    assert (table_bytes(generator.bench) == before) is (status == "error")
    result = manage("runmodule", "orders", "--json")
    assert result.code == 0, result.err
    assert digest(stored_rows(generator.bench)) == digest(generator.expected())


def test_a_run_of_this_boot_whose_process_lives_stays_active(generator: Generator, tmp_path: Path) -> None:
    run = kill_run("transfer.started", tmp_path / "points", boot=identity.current().boot)
    assert manage("tick").code == 0
    run.refresh_from_db()
    assert run.status == "running"
    result = manage("runmodule", "orders", "--json")
    assert (result.code, f"run {run.pk}" in result.err) == (4, True)

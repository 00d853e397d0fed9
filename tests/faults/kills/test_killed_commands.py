"""`manage.py runmodule` killed at each fault point.

The table and the run's row are right, and the next command runs without delay and publishes everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.utils import timezone

from modules.models import Hook, Module
from runs.engine.plan import Strategy
from runs.models import Run
from tests.faults.changing_source import QUERY, Generator, digest, stored_rows, table_bytes
from tests.faults.killed_runs import RunResult, fault_environment, is_cleaned_up, read_result
from tests.faults.kills.counts import Tally, printed_tally
from tests.harness.bench import Bench
from tests.processes.commands import manage, start

pytestmark = [pytest.mark.matrix, pytest.mark.django_db(transaction=True)]

# more points than any run has; a test kills at every n-th, so that none takes too long on a slow machine
MAX_POINTS, PARTS = 100, 6
# for how many seconds a killed run may block the next one, including the start of its process
MAX_WAIT = 15


@pytest.fixture(scope="module")
def total(request: pytest.FixtureRequest) -> Iterator[Tally]:
    with printed_tally("SIGKILL of runmodule at each point in turn", request) as tally:
        yield tally


@pytest.fixture
def generator(pg_bench: Bench, save_module: Callable[..., Module], save_connection: Any) -> Generator:
    """The source of an incremental module with key_sync and hooks that has run once."""
    generator = Generator(pg_bench, Strategy.INCREMENTAL, Random(11), key_sync=True)
    generator.create_table(60)
    module = save_module(
        "orders",
        QUERY,
        source=save_connection(pg_bench.source),
        dest_table="sync.t",
        merge_strategy="incremental",
        merge_key="k",
        watermark_column="w",
        key_sync=True,
    )
    pg_bench.at_destination("CREATE TABLE hook_log (event text)")
    for on in ("before", "success", "always"):
        Hook.objects.create(module=module, run_on=on, sql=f"INSERT INTO public.hook_log VALUES ('{on}')")
    assert manage("runmodule", "orders", "--quiet").code == 0
    return generator


@dataclass
class Sweep:
    """Kills the command at its first point, then at its second, and so on until a command passes all points.

    A complete run follows each. With ``parts``, only every ``parts``-th point is used, from ``part`` on.
    """

    generator: Generator
    directory: Path
    tally: Tally
    part: int = 0
    parts: int = 1
    # points at which commands were killed, and those of the command that was not killed
    killed: list[str] = field(default_factory=list)
    all_points: list[str] = field(default_factory=list)
    # number of killed runs that were finalized as successful
    recovered: int = 0

    def run(self, fault: str = "#{}=kill9") -> None:
        for number in range(1 + self.part, MAX_POINTS, self.parts):
            self.generator.change_rows()
            log = self.directory / str(number)
            result, run = self._run_with_fault(fault.format(number), log)
            if not result.killed:
                self.all_points = result.points
                return
            self.killed.append(result.points[-1])
            self.tally.injected += 1
            self._check_next_run(run, log)
            self._check_finalized(run, result)
        raise AssertionError("no run got through")

    def check_killed(self) -> None:
        """Check that one command was killed at each point (of this part)."""
        assert self.killed, "no run was killed"
        assert self.killed == self.all_points[self.part :: self.parts]

    def _run_with_fault(self, fault: str, log: Path) -> tuple[RunResult, Run]:
        bench, before = self.generator.bench, table_bytes(self.generator.bench)
        process = start("runmodule", "orders", "--json", **fault_environment(fault, log))
        process.communicate(timeout=90)
        result, run = read_result(process.returncode, log), Run.objects.latest("pk")
        self.killed_at = timezone.now()
        committed = result.check_commits(bench, run.token)
        if "key_sync" in committed:
            assert digest(stored_rows(bench)) == digest(self.generator.expected())
        elif "publish" in committed:
            assert digest(stored_rows(bench)) == digest(self.generator.expected_before_key_sync())
        else:
            assert table_bytes(bench) == before
        return result, run

    def _check_next_run(self, killed: Run, log: Path) -> None:
        """Run the command again: it need not wait, and publishes everything. Nothing is left of the killed run."""
        result = manage("runmodule", "orders", "--json")
        assert result.code == 0, result.err
        run = Run.objects.latest("pk")
        assert run.pk != killed.pk
        assert run.started_at is not None
        waited = (run.started_at - self.killed_at).total_seconds()
        self.tally.stuck += waited > MAX_WAIT
        self.tally.compare(self.generator)
        self.tally.stuck += not is_cleaned_up(self.generator.bench, log)
        self.tally.stuck += Run.objects.active().count()

    def _check_finalized(self, run: Run, result: RunResult) -> None:
        """Check that the killed run's row agrees with its commit records."""
        run.refresh_from_db()
        warned = any("commit record" in warning for warning in run.warnings)
        if result.points[-1] == "record.ended":
            assert (run.status, warned) == ("success", False)
        elif "publish.after_commit" in result.points:
            assert (run.status, run.error, warned) == ("success", None, True)
            self.recovered += 1
            deleted = len(self.generator.deleted) if "reconcile.after_commit" in result.points else 0
            assert (run.inserted, run.updated, run.deleted) == (10, 20, deleted)
        else:
            assert run.error is not None
            assert (run.status, run.error["code"]) == ("error", "lost")
            assert "nothing was published" in run.error["message"]


@pytest.mark.parametrize("part", range(PARTS))
def test_a_runmodule_killed_at_any_point_is_finalized_and_the_next_one_publishes_everything(
    generator: Generator, part: int, tmp_path: Path, total: Tally
) -> None:
    sweep = Sweep(generator, tmp_path, total, part=part, parts=PARTS)
    sweep.run()
    sweep.check_killed()
    assert (sweep.all_points[0], sweep.all_points[-1]) == ("run.inserted", "record.ended")
    # some runs were finalized as successful, others as failed
    assert 0 < sweep.recovered < len(sweep.killed)


def test_the_check_of_a_sweep_fails_if_no_command_was_killed(generator: Generator, tmp_path: Path) -> None:
    sweep = Sweep(generator, tmp_path, Tally("none"))
    sweep.run("nowhere=kill9")
    with pytest.raises(AssertionError, match="no run was killed"):
        sweep.check_killed()

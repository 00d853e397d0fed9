"""`manage.py runmodule` killed at any point: the table, the run's row and the next command are right, and at once."""

from __future__ import annotations

import time
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
from tests.benches.bench import Bench
from tests.faults.changing_source import QUERY, Generator, bytes_of, evidence, stored
from tests.faults.killed_runs import Ended, ended, faults, leaves_nothing
from tests.faults.kills.counts import Tally, told
from tests.processes.commands import manage, start

pytestmark = [pytest.mark.matrix, pytest.mark.django_db(transaction=True)]

# more points than any run has; a test takes every n-th, so that none takes too long where the machine is slow
MOST, PARTS = 100, 6
# how long a killed run may stand in the way of the next one, whose process's start is counted too
SECONDS = 15


@pytest.fixture(scope="module")
def total(request: pytest.FixtureRequest) -> Iterator[Tally]:
    with told("SIGKILL of runmodule at each point in turn", request) as found:
        yield found


@pytest.fixture
def generator(pg_bench: Bench, save_module: Callable[..., Module], save_connection: Any) -> Generator:
    """An incremental module with key_sync and hooks, published once."""
    found = Generator(pg_bench, Strategy.INCREMENTAL, Random(11), key_sync=True)
    found.begin(60)
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
    pg_bench.at_destination("CREATE TABLE seen (moment text)")
    for on in ("before", "success", "always"):
        Hook.objects.create(module=module, run_on=on, sql=f"INSERT INTO public.seen VALUES ('{on}')")
    assert manage("runmodule", "orders", "--quiet").code == 0
    return found


@dataclass
class Sweep:
    """Kills the command at its first point, its second, and so on until one gets through; a whole one follows each."""

    generator: Generator
    directory: Path
    found: Tally
    part: int = 0
    parts: int = 1
    killed: list[str] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)
    # how the rows of the killed runs ended
    recovered: int = 0
    # the longest time from a kill to the next run's claim
    slowest: float = 0.0

    def run(self, fault: str = "#{}=kill9") -> None:
        for number in range(1 + self.part, MOST, self.parts):
            self.generator.move_on()
            end, run = self._killed(fault.format(number), self.directory / str(number))
            if not end.killed:
                self.whole = end.points
                return
            self.killed.append(end.points[-1])
            self.found.injected += 1
            self._next_is_right(run)
            self._settled_rightly(run, end)
        raise AssertionError("no run got through")

    def prove(self) -> None:
        assert self.killed, "no run was killed"
        assert self.killed == self.whole[self.part :: self.parts]

    def _killed(self, fault: str, log: Path) -> tuple[Ended, Run]:
        bench, before = self.generator.bench, bytes_of(self.generator.bench)
        process = start("runmodule", "orders", "--json", **faults(fault, log))
        process.communicate(timeout=90)
        end, run = ended(process.returncode, log), Run.objects.latest("pk")
        self.killed_at = timezone.now(), time.monotonic()
        done = end.proves(bench, run.token)
        if "key_sync" in done:
            assert evidence(stored(bench)) == evidence(self.generator.expected())
        elif "publish" in done:
            assert evidence(stored(bench)) == evidence(self.generator.published())
        else:
            assert bytes_of(bench) == before
        return end, run

    def _next_is_right(self, killed: Run) -> None:
        """Run again at once: it is not kept waiting, and brings everything."""
        done = manage("runmodule", "orders", "--json")
        assert done.code == 0, done.err
        run = Run.objects.latest("pk")
        assert run.pk != killed.pk
        assert run.started_at is not None
        waited = (run.started_at - self.killed_at[0]).total_seconds()
        self.slowest = max(self.slowest, waited)
        self.found.stuck += waited > SECONDS
        self.found.compare(self.generator)
        self.found.stuck += not leaves_nothing(self.generator.bench, self.directory / str(len(self.killed)))
        self.found.stuck += Run.objects.active().count()

    def _settled_rightly(self, run: Run, end: Ended) -> None:
        """The killed run's row says what the commit record says."""
        run.refresh_from_db()
        warned = any("commit record" in warning for warning in run.warnings)
        if end.points[-1] == "record.ended":
            assert (run.status, warned) == ("success", False)
        elif "publish.after_commit" in end.points:
            assert (run.status, run.error, warned) == ("success", None, True)
            self.recovered += 1
            gone = len(self.generator.gone) if "reconcile.after_commit" in end.points else 0
            assert (run.inserted, run.updated, run.deleted) == (10, 20, gone)
        else:
            assert run.error is not None
            assert (run.status, run.error["code"]) == ("error", "lost")
            assert "nothing was published" in run.error["message"]


@pytest.mark.parametrize("part", range(PARTS))
def test_runmodule_killed_at_every_point_in_turn(generator: Generator, part: int, tmp_path: Path, total: Tally) -> None:
    sweep = Sweep(generator, tmp_path, total, part=part, parts=PARTS)
    sweep.run()
    sweep.prove()
    assert (sweep.whole[0], sweep.whole[-1]) == ("run.claimed", "record.ended")
    # neither way of settling was left out
    assert 0 < sweep.recovered < len(sweep.killed)


def test_with_the_fault_switched_off_there_is_no_proof(generator: Generator, tmp_path: Path) -> None:
    sweep = Sweep(generator, tmp_path, Tally("none"))
    sweep.run("nowhere=kill9")
    with pytest.raises(AssertionError, match="no run was killed"):
        sweep.prove()

"""A run killed at any point has published wholly or not at all, and the next run is right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest

from runs.engine.plan import Hook, Plan, RunOn, Strategy
from tests.benches.bench import Bench
from tests.faults.changing_source import Generator, bytes_of, evidence, stored
from tests.faults.killed_runs import Ended, carried_out, leaves_nothing
from tests.faults.kills.counts import Tally, told

MOMENTS = [RunOn.BEFORE, RunOn.SUCCESS, RunOn.ALWAYS]
# more points than any run has
MOST = 100
# what is killed is a process of its own; only the whole runs around it move their rows in this one
pytestmark = pytest.mark.usefixtures("transfer_in_process")
# a test takes every n-th point, so that none takes too long where the machine is slow
PARTS = 3


@pytest.fixture(scope="module")
def total(request: pytest.FixtureRequest) -> Iterator[Tally]:
    with told("SIGKILL at each point in turn", request) as found:
        yield found


@pytest.fixture
def generator(pg_bench: Bench, request: pytest.FixtureRequest) -> Generator:
    """A changing source, with key_sync where rows that went stay otherwise, and a table for what hooks do."""
    strategy: Strategy = getattr(request, "param", Strategy.UPSERT)
    found = Generator(pg_bench, strategy, Random(strategy.value), key_sync=strategy is not Strategy.FULL)
    found.begin(60)
    pg_bench.at_destination("CREATE TABLE seen (number serial, moment text)")
    return found


def planned(generator: Generator) -> Plan:
    """A plan with a hook at each moment at which a run that does not fail has one."""
    to = generator.bench.destination
    hooks = [
        Hook(sql=f"INSERT INTO public.seen (moment) VALUES ('{on.value}')", run_on=on, connection=to) for on in MOMENTS
    ]
    return generator.plan(run=uuid4().hex, hooks=tuple(hooks))


def hooks_done(bench: Bench) -> list[str]:
    """The moments at which hooks ran since this was asked last."""
    rows = bench.rows("SELECT moment FROM public.seen ORDER BY number")
    bench.at_destination("TRUNCATE public.seen")
    return [moment for (moment,) in rows]


@dataclass
class Sweep:
    """Kills a run at its first point, its second, and so on until one gets through; a whole run follows each.

    With ``parts`` it takes every so manieth point, beginning at ``part``.
    """

    generator: Generator
    directory: Path
    found: Tally
    part: int = 0
    parts: int = 1
    # the table, and all that a run puts beside it, is not there before the run
    first_load: bool = False
    killed: list[str] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)

    def run(self, fault: str = "#{}=kill9") -> None:
        for number in range(1 + self.part, MOST, self.parts):
            self._prepare()
            end = self._killed(fault.format(number), self.directory / str(number))
            if not end.killed:
                self.whole = end.points
                return
            self.killed.append(end.points[-1])
            self.found.injected += 1
            self.generator.bench.run(planned(self.generator))
            self.found.compare(self.generator)
            assert hooks_done(self.generator.bench) == [*MOMENTS]
        raise AssertionError("no run got through")

    def prove(self) -> None:
        """Check that every point of a whole run (of this part) killed one run, each once."""
        assert self.killed, "no run was killed"
        assert self.killed == self.whole[self.part :: self.parts]

    def _prepare(self) -> None:
        if self.first_load:
            schemas = ("sync", "pipekit_staging")
            self.generator.bench.at_destination(*(f"DROP SCHEMA IF EXISTS {name} CASCADE" for name in schemas))
        else:
            self.generator.move_on()

    def _killed(self, fault: str, log: Path) -> Ended:
        bench, plan = self.generator.bench, planned(self.generator)
        before = bytes_of(bench)
        end = carried_out(plan, fault, log)
        self.found.stuck += not leaves_nothing(bench, log)
        done = end.proves(bench, plan.run)
        if "key_sync" in done:
            assert evidence(stored(bench)) == evidence(self.generator.expected())
        elif "publish" in done:
            assert evidence(stored(bench)) == evidence(self.generator.published())
        else:
            assert bytes_of(bench) == before
        # a hook's point comes before it: the last one's hook has not run
        called = end.points[:-1] if end.killed else end.points
        assert hooks_done(bench) == MOMENTS[: called.count("hooks.before_one")]
        return end


@pytest.mark.matrix
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("generator", list(Strategy), indirect=True)
def test_killed_at_every_point_in_turn(generator: Generator, part: int, tmp_path: Path, total: Tally) -> None:
    generator.bench.run(generator.plan())
    sweep = Sweep(generator, tmp_path, total, part=part, parts=PARTS)
    sweep.run()
    sweep.prove()
    assert ("reconcile.before_commit" in sweep.whole) is generator.key_sync


@pytest.mark.matrix
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("generator", [Strategy.INCREMENTAL], indirect=True)
def test_killed_at_every_point_of_a_first_load(generator: Generator, part: int, tmp_path: Path, total: Tally) -> None:
    sweep = Sweep(generator, tmp_path, total, part=part, parts=PARTS, first_load=True)
    sweep.run()
    sweep.prove()


@pytest.mark.matrix
def test_with_the_fault_switched_off_there_is_no_proof(generator: Generator, tmp_path: Path) -> None:
    generator.bench.run(generator.plan())
    sweep = Sweep(generator, tmp_path, Tally("none"))
    sweep.run("nowhere=kill9")
    assert len(sweep.whole) > len(MOMENTS)
    with pytest.raises(AssertionError, match="no run was killed"):
        sweep.prove()


@pytest.mark.matrix
def test_a_fault_that_is_no_kill_is_no_proof(generator: Generator, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="it was not killed"):
        carried_out(planned(generator), "run.done=raise", tmp_path / "raised")
    with pytest.raises(AssertionError, match="it went on after the fault"):
        carried_out(planned(generator), "#3=sleep:0", tmp_path / "slept")


@pytest.mark.parametrize("point", ["transfer.started", "publish.before_commit", "publish.after_commit"])
def test_killed_around_the_commit(generator: Generator, point: str, tmp_path: Path) -> None:
    bench = generator.bench
    bench.run(generator.plan())
    generator.move_on()
    before, plan = bytes_of(bench), planned(generator)
    end = carried_out(plan, f"{point}=kill9", tmp_path / "points")
    assert (end.killed, end.points[-1]) == (True, point)
    published = end.proves(bench, plan.run) == {"publish"}
    assert published is (point == "publish.after_commit")
    assert (bytes_of(bench) != before) is published
    bench.run(planned(generator))
    assert evidence(stored(bench)) == evidence(generator.expected())

"""Runs killed at each fault point: the publish is complete or absent, and the next run publishes everything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest

from runs.engine.plan import Hook, Plan, RunOn, Strategy
from tests.faults.changing_source import Generator, digest, stored_rows, table_bytes
from tests.faults.killed_runs import RunResult, is_cleaned_up, run_with_fault
from tests.faults.kills.counts import Tally, printed_tally
from tests.harness.bench import Bench

# when the hooks of a run that succeeds are executed
HOOK_EVENTS = [RunOn.BEFORE, RunOn.SUCCESS, RunOn.ALWAYS]
# more points than any run has
MAX_POINTS = 100
# the runs that are killed are processes of their own; the complete runs between them transfer rows in this process
pytestmark = pytest.mark.usefixtures("transfer_in_process")
# a test kills at every n-th point, so that none takes too long on a slow machine
PARTS = 3


@pytest.fixture(scope="module")
def total(request: pytest.FixtureRequest) -> Iterator[Tally]:
    with printed_tally("SIGKILL at each point in turn", request) as tally:
        yield tally


@pytest.fixture
def generator(pg_bench: Bench, request: pytest.FixtureRequest) -> Generator:
    """A changing source, with key_sync unless the strategy is full, and a table that the hooks write to."""
    strategy: Strategy = getattr(request, "param", Strategy.UPSERT)
    generator = Generator(pg_bench, strategy, Random(strategy.value), key_sync=strategy is not Strategy.FULL)
    generator.create_table(60)
    pg_bench.at_destination("CREATE TABLE hook_log (number serial, event text)")
    return generator


def plan_with_hooks(generator: Generator) -> Plan:
    """Return a plan with a hook for each event of a run that succeeds."""
    destination = generator.bench.destination
    hooks = [
        Hook(sql=f"INSERT INTO public.hook_log (event) VALUES ('{on.value}')", run_on=on, connection=destination)
        for on in HOOK_EVENTS
    ]
    return generator.plan(run=uuid4().hex, hooks=tuple(hooks))


def pop_hook_log(bench: Bench) -> list[str]:
    """Return the events for which hooks were executed since the last call."""
    rows = bench.rows("SELECT event FROM public.hook_log ORDER BY number")
    bench.at_destination("TRUNCATE public.hook_log")
    return [event for (event,) in rows]


@dataclass
class Sweep:
    """Kills a run at its first point, then one at its second, and so on until a run passes all points.

    A complete run follows each. With ``parts``, only every ``parts``-th point is used, from ``part`` on.
    """

    generator: Generator
    directory: Path
    tally: Tally
    part: int = 0
    parts: int = 1
    # delete the table, and everything else that a run creates, before each run
    first_load: bool = False
    # points at which runs were killed, and those of the run that was not killed
    killed: list[str] = field(default_factory=list)
    all_points: list[str] = field(default_factory=list)

    def run(self, fault: str = "#{}=kill9") -> None:
        for number in range(1 + self.part, MAX_POINTS, self.parts):
            self._prepare()
            result = self._run_with_fault(fault.format(number), self.directory / str(number))
            if not result.killed:
                self.all_points = result.points
                return
            self.killed.append(result.points[-1])
            self.tally.injected += 1
            self.generator.bench.run(plan_with_hooks(self.generator))
            self.tally.compare(self.generator)
            assert pop_hook_log(self.generator.bench) == [*HOOK_EVENTS]
        raise AssertionError("no run got through")

    def check_killed(self) -> None:
        """Check that one run was killed at each point (of this part)."""
        assert self.killed, "no run was killed"
        assert self.killed == self.all_points[self.part :: self.parts]

    def _prepare(self) -> None:
        if self.first_load:
            schemas = ("sync", "pipekit_staging")
            self.generator.bench.at_destination(*(f"DROP SCHEMA IF EXISTS {name} CASCADE" for name in schemas))
        else:
            self.generator.change_rows()

    def _run_with_fault(self, fault: str, log: Path) -> RunResult:
        bench, plan = self.generator.bench, plan_with_hooks(self.generator)
        before = table_bytes(bench)
        result = run_with_fault(plan, fault, log)
        self.tally.stuck += not is_cleaned_up(bench, log)
        committed = result.check_commits(bench, plan.run)
        if "key_sync" in committed:
            assert digest(stored_rows(bench)) == digest(self.generator.expected())
        elif "publish" in committed:
            assert digest(stored_rows(bench)) == digest(self.generator.expected_before_key_sync())
        else:
            assert table_bytes(bench) == before
        # the point is before the hook: a run killed there has not executed it
        passed = result.points[:-1] if result.killed else result.points
        assert pop_hook_log(bench) == HOOK_EVENTS[: passed.count("hooks.before_one")]
        return result


@pytest.mark.matrix
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("generator", list(Strategy), indirect=True)
def test_a_run_killed_at_any_point_neither_loses_nor_duplicates_rows(
    generator: Generator, part: int, tmp_path: Path, total: Tally
) -> None:
    generator.bench.run(generator.plan())
    sweep = Sweep(generator, tmp_path, total, part=part, parts=PARTS)
    sweep.run()
    sweep.check_killed()
    assert ("reconcile.before_commit" in sweep.all_points) is generator.key_sync


@pytest.mark.matrix
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("generator", [Strategy.INCREMENTAL], indirect=True)
def test_a_first_load_killed_at_any_point_neither_loses_nor_duplicates_rows(
    generator: Generator, part: int, tmp_path: Path, total: Tally
) -> None:
    sweep = Sweep(generator, tmp_path, total, part=part, parts=PARTS, first_load=True)
    sweep.run()
    sweep.check_killed()


@pytest.mark.matrix
def test_the_check_of_a_sweep_fails_if_no_run_was_killed(generator: Generator, tmp_path: Path) -> None:
    generator.bench.run(generator.plan())
    sweep = Sweep(generator, tmp_path, Tally("none"))
    sweep.run("nowhere=kill9")
    assert len(sweep.all_points) > len(HOOK_EVENTS)
    with pytest.raises(AssertionError, match="no run was killed"):
        sweep.check_killed()


@pytest.mark.matrix
def test_a_fault_that_does_not_kill_the_run_is_rejected(generator: Generator, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="it was not killed"):
        run_with_fault(plan_with_hooks(generator), "run.done=raise", tmp_path / "raised")
    with pytest.raises(AssertionError, match="it went on after the fault"):
        run_with_fault(plan_with_hooks(generator), "#3=sleep:0", tmp_path / "slept")


@pytest.mark.parametrize("point", ["transfer.started", "publish.before_commit", "publish.after_commit"])
def test_a_killed_run_has_published_only_if_it_was_killed_after_the_commit(
    generator: Generator, point: str, tmp_path: Path
) -> None:
    bench = generator.bench
    bench.run(generator.plan())
    generator.change_rows()
    before, plan = table_bytes(bench), plan_with_hooks(generator)
    result = run_with_fault(plan, f"{point}=kill9", tmp_path / "points")
    assert (result.killed, result.points[-1]) == (True, point)
    published = result.check_commits(bench, plan.run) == {"publish"}
    assert published is (point == "publish.after_commit")
    assert (table_bytes(bench) != before) is published
    bench.run(plan_with_hooks(generator))
    assert digest(stored_rows(bench)) == digest(generator.expected())

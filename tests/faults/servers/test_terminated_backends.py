"""The server ends a session of the run: the error can pass by itself, nothing is published, the next run is right."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import psycopg
import pytest

from connections.sdk.errors import PipekitError
from runs.engine.plan import Plan, Strategy
from tests.benches.bench import Bench
from tests.faults.changing_source import QUERY, Generator, compared, evidence, stored

# real processes, many of them
pytestmark = pytest.mark.matrix

# the session that takes the rows, however the driver writes COPY
COPYING = "query ILIKE 'copy %' AND xact_start IS NOT NULL"
# the session that publishes, at rest between two statements
PUBLISHING = "state = 'idle in transaction' AND application_name = 'pipekit'"
SLOW = QUERY.replace("v,", "v || pg_sleep(0.05)::text AS v,")


class Terminator:
    """Looks for the session, when it is time, until it is there, and ends it."""

    def __init__(self, url: str, session: str, *, when: Callable[[], bool]) -> None:
        self.url, self.when, self.fired = url, when, 0
        self.sql = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE {session} AND datname = current_database() AND pid <> pg_backend_pid()"
        )
        self._over = threading.Event()

    def work(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            while not self.fired and not self._over.wait(0.02):
                if self.when():
                    self.fired = connection.execute(self.sql).fetchall().count((True,))

    @contextmanager
    def at_work(self) -> Iterator[None]:
        thread = threading.Thread(target=self.work)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()


@pytest.fixture(params=list(Strategy))
def generator(pg_bench: Bench, request: pytest.FixtureRequest) -> Generator:
    """A table that is published already, with changes that are not."""
    found = Generator(pg_bench, request.param, Random(7))
    found.begin(40)
    pg_bench.run(found.plan())
    found.move_on()
    return found


def interrupted(bench: Bench, plan: Plan, session: str, *, when: Callable[[], bool] = lambda: True) -> PipekitError:
    """Run the plan while a session of it is ended; return its error, having proved that the fault fired."""
    terminator = Terminator(bench.destination.url, session, when=when)
    caught: PipekitError | None = None
    with terminator.at_work():
        try:
            bench.run(plan)
        except PipekitError as error:
            caught = error
    assert terminator.fired == 1, "no session was ended"
    assert caught is not None
    return caught


@contextmanager
def unchanged_and_then_right(generator: Generator) -> Iterator[None]:
    """What the block runs changes nothing; the next run brings everything."""
    before = evidence(stored(generator.bench))
    yield
    assert evidence(stored(generator.bench)) == before
    generator.bench.run(generator.plan())
    assert compared(generator.expected(), stored(generator.bench)) == (0, 0)


def test_a_session_ended_in_the_transfer_publishes_nothing(generator: Generator) -> None:
    with unchanged_and_then_right(generator):
        error = interrupted(generator.bench, generator.plan(source_query=SLOW), COPYING)
        assert (error.code, error.retryable) == ("connection_lost", True)


@pytest.mark.parametrize("point", [pytest.param("publish.begun", marks=pytest.mark.matrix), "publish.before_commit"])
def test_a_session_ended_in_the_publish_publishes_nothing(
    generator: Generator, point: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = tmp_path / "points"
    monkeypatch.setenv("PIPEKIT_FAULT_LOG", str(log))

    def rests() -> bool:
        return log.exists() and f"{point} sleep:0.5" in log.read_text()

    with unchanged_and_then_right(generator):
        with monkeypatch.context() as patch:
            patch.setenv("PIPEKIT_FAULTS", f"{point}=sleep:0.5")
            error = interrupted(generator.bench, generator.plan(), PUBLISHING, when=rests)
        assert (error.code, error.retryable) == ("connection_lost", True)


@pytest.mark.parametrize("session", [COPYING, PUBLISHING])
@pytest.mark.parametrize("generator", [Strategy.UPSERT], indirect=True)
def test_without_an_ended_session_there_is_no_proof(generator: Generator, session: str) -> None:
    with pytest.raises(AssertionError, match="no session was ended"):
        interrupted(generator.bench, generator.plan(), f"{session} AND false")
    assert compared(generator.expected(), stored(generator.bench)) == (0, 0)

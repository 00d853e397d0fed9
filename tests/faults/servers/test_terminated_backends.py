"""The server terminates a session of the run: the error is retryable, nothing is published, the next run succeeds."""

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
from tests.faults.changing_source import QUERY, Generator, count_differences, digest, stored_rows
from tests.harness.bench import Bench

# each test starts several processes
pytestmark = pytest.mark.matrix

# the session that receives the rows, however the driver writes COPY
COPYING = "query ILIKE 'copy %' AND xact_start IS NOT NULL"
# the session that publishes, idle between two statements
PUBLISHING = "state = 'idle in transaction' AND application_name = 'pipekit'"
SLOW = QUERY.replace("v,", "v || pg_sleep(0.05)::text AS v,")


class Terminator:
    """Terminates the first session that meets the condition ``session``, from when ``when()`` is true."""

    def __init__(self, url: str, session: str, *, when: Callable[[], bool]) -> None:
        self.url, self.when, self.fired = url, when, 0
        self.sql = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE {session} AND datname = current_database() AND pid <> pg_backend_pid()"
        )
        self._finished = threading.Event()

    def run(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            while not self.fired and not self._finished.wait(0.02):
                if self.when():
                    self.fired = connection.execute(self.sql).fetchall().count((True,))

    @contextmanager
    def active(self) -> Iterator[None]:
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            yield
        finally:
            self._finished.set()
            thread.join()


@pytest.fixture(params=list(Strategy))
def generator(pg_bench: Bench, request: pytest.FixtureRequest) -> Generator:
    """A source that has been published and has changed since."""
    generator = Generator(pg_bench, request.param, Random(7))
    generator.create_table(40)
    pg_bench.run(generator.plan())
    generator.change_rows()
    return generator


def run_and_terminate(
    bench: Bench, plan: Plan, session: str, *, when: Callable[[], bool] = lambda: True
) -> PipekitError:
    """Run the plan while the server terminates one of its sessions; check that it did, and return the run's error."""
    terminator = Terminator(bench.destination.url, session, when=when)
    run_error: PipekitError | None = None
    with terminator.active():
        try:
            bench.run(plan)
        except PipekitError as error:
            run_error = error
    assert terminator.fired == 1, "no session was terminated"
    assert run_error is not None
    return run_error


@contextmanager
def nothing_published(generator: Generator) -> Iterator[None]:
    """Check at the end of the block that it has changed nothing and that the next run publishes everything."""
    before = digest(stored_rows(generator.bench))
    yield
    assert digest(stored_rows(generator.bench)) == before
    generator.bench.run(generator.plan())
    assert count_differences(generator.expected(), stored_rows(generator.bench)) == (0, 0)


def test_a_run_whose_session_is_terminated_during_the_transfer_publishes_nothing(generator: Generator) -> None:
    with nothing_published(generator):
        error = run_and_terminate(generator.bench, generator.plan(source_query=SLOW), COPYING)
        assert (error.code, error.retryable) == ("connection_lost", True)


@pytest.mark.parametrize("point", [pytest.param("publish.begun", marks=pytest.mark.matrix), "publish.before_commit"])
def test_a_run_whose_session_is_terminated_during_the_publish_publishes_nothing(
    generator: Generator, point: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = tmp_path / "points"
    monkeypatch.setenv("PIPEKIT_FAULT_LOG", str(log))

    def is_sleeping() -> bool:
        return log.exists() and f"{point} sleep:0.5" in log.read_text()

    with nothing_published(generator):
        with monkeypatch.context() as patch:
            patch.setenv("PIPEKIT_FAULTS", f"{point}=sleep:0.5")
            error = run_and_terminate(generator.bench, generator.plan(), PUBLISHING, when=is_sleeping)
        assert (error.code, error.retryable) == ("connection_lost", True)


@pytest.mark.parametrize("session", [COPYING, PUBLISHING])
@pytest.mark.parametrize("generator", [Strategy.UPSERT], indirect=True)
def test_the_check_fails_if_no_session_is_terminated(generator: Generator, session: str) -> None:
    with pytest.raises(AssertionError, match="no session was terminated"):
        run_and_terminate(generator.bench, generator.plan(), f"{session} AND false")
    assert count_differences(generator.expected(), stored_rows(generator.bench)) == (0, 0)

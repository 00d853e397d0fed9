"""Another session holds the table: the run waits, tries again, then names the holder, and leaves it alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from connections.sdk.errors import PipekitError
from runs.engine import retry
from runs.engine.events import AttemptFailed, Event, Published, StepStarted
from runs.engine.plan import Plan, Strategy
from runs.engine.retry import Policy
from tests.benches.bench import Bench
from tests.faults.changing_source import Generator, bytes_of, evidence, stored

pytestmark = pytest.mark.matrix

# how often, and how long each time, a run waits here for a lock
POLICY, SECONDS = Policy(max_retries=2, delay=0.1), 0.3
HOLDER = "nightly report"


@pytest.fixture
def generator(pg_bench: Bench, request: pytest.FixtureRequest) -> Generator:
    """A table that is published already, with changes that are not."""
    strategy: Strategy = getattr(request, "param", Strategy.FULL)
    found = Generator(pg_bench, strategy, Random(5), key_sync=strategy is Strategy.UPSERT)
    found.begin(60)
    pg_bench.run(found.plan())
    found.move_on()
    return found


@contextmanager
def holder(bench: Bench) -> Iterator[psycopg.Connection]:
    """Another program's session with a transaction; it must be as well at the end as at the beginning."""
    with psycopg.connect(bench.destination.url, application_name=HOLDER) as connection:
        yield connection
        assert connection.execute("SELECT count(*) FROM sync.t").fetchone() is not None
        assert connection.info.transaction_status == TransactionStatus.INTRANS


def hold(connection: psycopg.Connection, mode: str) -> None:
    connection.execute(f"LOCK TABLE sync.t IN {mode} MODE".encode())


def tried(plan: Plan, hear: Callable[[Event], None] = lambda event: None) -> tuple[list[Event], PipekitError | None]:
    """Carry the plan out with retries; return what it told and its error."""
    told: list[Event] = []
    try:
        for event in retry.run(plan, POLICY, still_ours=lambda: True):
            told.append(event)
            hear(event)
    except PipekitError as error:
        return told, error
    return told, None


def waited_in_vain(told: list[Event], error: PipekitError | None) -> str:
    """Prove that every attempt ended because the server gave up waiting for a lock; return the message."""
    assert error is not None, "nothing was waited for"
    assert (error.code, error.retryable) == ("lock_timeout", True), error.message
    assert "55P03" in error.detail
    assert [event.code for event in told if isinstance(event, AttemptFailed)] == ["lock_timeout"] * POLICY.max_retries
    return error.message


def step_of(told: list[Event]) -> str:
    return [event.step for event in told if isinstance(event, StepStarted)][-1]


@pytest.mark.parametrize("mode", ["ACCESS EXCLUSIVE", "SHARE"])
@pytest.mark.parametrize("generator", list(Strategy), indirect=True)
def test_a_table_that_stays_locked_ends_the_run_with_the_holder_s_name(generator: Generator, mode: str) -> None:
    bench, before = generator.bench, bytes_of(generator.bench)
    with holder(bench) as other:
        hold(other, mode)
        told, error = tried(generator.plan(lock_seconds=SECONDS))
        message = waited_in_vain(told, error)
        assert f"locks on sync.t are held by process {other.info.backend_pid} ({HOLDER}, user postgres," in message
        lock = mode.title().replace(" ", "") + "Lock"
        assert lock in message
    # who cannot even read waits for the watermark already
    reads = mode == "ACCESS EXCLUSIVE" and generator.strategy is not Strategy.FULL
    assert step_of(told) == ("resolve" if reads else "publish")
    assert bytes_of(bench) == before
    bench.run(generator.plan())
    assert evidence(stored(bench)) == evidence(generator.expected())


def test_a_lock_that_goes_in_time_costs_only_an_attempt(generator: Generator) -> None:
    with psycopg.connect(generator.bench.destination.url) as other:
        hold(other, "ACCESS EXCLUSIVE")

        def let_go(event: Event) -> None:
            if isinstance(event, AttemptFailed):
                other.rollback()

        told, error = tried(generator.plan(lock_seconds=SECONDS), let_go)
    assert error is None
    assert [event.code for event in told if isinstance(event, AttemptFailed)] == ["lock_timeout"]
    assert evidence(stored(generator.bench)) == evidence(generator.expected())


def test_who_only_reads_holds_up_a_truncate_and_is_named_but_no_delete(generator: Generator) -> None:
    with holder(generator.bench) as reader:
        reader.execute("SELECT count(*) FROM sync.t")
        message = waited_in_vain(*tried(generator.plan(lock_seconds=SECONDS)))
        assert f"process {reader.info.backend_pid} ({HOLDER}" in message
        assert "AccessShareLock" in message
        _, error = tried(generator.plan(lock_seconds=SECONDS, delete_instead_of_truncate=True))
        assert error is None
    assert evidence(stored(generator.bench)) == evidence(generator.expected())


@pytest.mark.parametrize("generator", [Strategy.UPSERT], indirect=True)
def test_a_table_locked_after_the_publish_keeps_what_is_published_and_loses_no_row(generator: Generator) -> None:
    bench = generator.bench
    with holder(bench) as other:

        def lock(event: Event) -> None:
            if isinstance(event, Published):
                hold(other, "SHARE")

        told, error = tried(generator.plan(lock_seconds=SECONDS), lock)
        assert HOLDER in waited_in_vain(told, error)
        assert step_of(told) == "reconcile"
        assert len([event for event in told if isinstance(event, Published)]) == 1
        assert evidence(stored(bench)) == evidence(generator.published())
    bench.run(generator.plan())
    assert evidence(stored(bench)) == evidence(generator.expected())


def test_without_a_lock_there_is_no_proof(generator: Generator) -> None:
    with pytest.raises(AssertionError, match="nothing was waited for"):
        waited_in_vain(*tried(generator.plan(lock_seconds=SECONDS)))

"""Another session holds a lock on the table: the run waits and retries, then fails with an error that names the holder.

The holder's session is not terminated.
"""

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
from runs.engine.plan import FullPublish, Plan, Strategy
from tests.faults.changing_source import Generator, digest, stored_rows, table_bytes
from tests.harness.bench import Bench, retry_policy

pytestmark = pytest.mark.matrix

# how often, and for how many seconds each time, a run waits for a lock
POLICY, LOCK_SECONDS = retry_policy(max_retries=2, delay=0.1), 0.3
HOLDER = "nightly report"


@pytest.fixture
def generator(pg_bench: Bench, request: pytest.FixtureRequest) -> Generator:
    """A source that has been published and has changed since."""
    strategy: Strategy = getattr(request, "param", Strategy.FULL)
    generator = Generator(pg_bench, strategy, Random(5), key_sync=strategy is Strategy.UPSERT)
    generator.create_table(60)
    pg_bench.run(generator.plan())
    generator.change_rows()
    return generator


@contextmanager
def holder(bench: Bench) -> Iterator[psycopg.Connection]:
    """Another program's session with a transaction; check at the end of the block that it is unharmed."""
    with psycopg.connect(bench.destination.url, application_name=HOLDER) as connection:
        yield connection
        assert connection.execute("SELECT count(*) FROM sync.t").fetchone() is not None
        assert connection.info.transaction_status == TransactionStatus.INTRANS


def hold(connection: psycopg.Connection, mode: str) -> None:
    connection.execute(f"LOCK TABLE sync.t IN {mode} MODE".encode())


def run_with_retries(
    plan: Plan, on_event: Callable[[Event], None] = lambda event: None
) -> tuple[list[Event], PipekitError | None]:
    """Execute the plan with retries; return its events and its error."""
    events: list[Event] = []
    try:
        for event in retry.run_with_retries(plan, POLICY, must_stop=lambda: False):
            events.append(event)
            on_event(event)
    except PipekitError as error:
        return events, error
    return events, None


def check_lock_timeouts(events: list[Event], error: PipekitError | None) -> str:
    """Check that every attempt failed because the server's lock timeout expired; return the error's message."""
    assert error is not None, "the run did not wait for a lock"
    assert (error.code, error.retryable) == ("lock_timeout", True), error.message
    assert "55P03" in error.detail
    codes = [event.code for event in events if isinstance(event, AttemptFailed)]
    assert codes == ["lock_timeout"] * POLICY.max_retries
    return error.message


def last_step(events: list[Event]) -> str:
    return [event.step for event in events if isinstance(event, StepStarted)][-1]


@pytest.mark.parametrize("mode", ["ACCESS EXCLUSIVE", "SHARE"])
@pytest.mark.parametrize("generator", list(Strategy), indirect=True)
def test_a_run_whose_table_stays_locked_fails_with_an_error_that_names_the_holder(
    generator: Generator, mode: str
) -> None:
    bench, before = generator.bench, table_bytes(generator.bench)
    with holder(bench) as other:
        hold(other, mode)
        events, error = run_with_retries(generator.plan(lock_timeout=LOCK_SECONDS))
        message = check_lock_timeouts(events, error)
        assert f"locks on sync.t are held by process {other.info.backend_pid} ({HOLDER}, user postgres," in message
        lock = mode.title().replace(" ", "") + "Lock"
        assert lock in message
    # a run that cannot read the table waits as soon as it reads the watermark, or creates a table like it
    first = "stage" if generator.strategy is Strategy.FULL else "resolve"
    assert last_step(events) == (first if mode == "ACCESS EXCLUSIVE" else "publish")
    assert table_bytes(bench) == before
    bench.run(generator.plan())
    assert digest(stored_rows(bench)) == digest(generator.expected())


def test_a_lock_that_is_released_before_the_retry_costs_one_attempt(generator: Generator) -> None:
    with psycopg.connect(generator.bench.destination.url) as other:
        hold(other, "ACCESS EXCLUSIVE")

        def release(event: Event) -> None:
            if isinstance(event, AttemptFailed):
                other.rollback()

        events, error = run_with_retries(generator.plan(lock_timeout=LOCK_SECONDS), release)
    assert error is None
    assert [event.code for event in events if isinstance(event, AttemptFailed)] == ["lock_timeout"]
    assert digest(stored_rows(generator.bench)) == digest(generator.expected())


def test_a_reader_blocks_a_truncate_and_is_named_but_does_not_block_a_delete(generator: Generator) -> None:
    with holder(generator.bench) as reader:
        reader.execute("SELECT count(*) FROM sync.t")
        message = check_lock_timeouts(*run_with_retries(generator.plan(lock_timeout=LOCK_SECONDS)))
        assert f"process {reader.info.backend_pid} ({HOLDER}" in message
        assert "AccessShareLock" in message
        _, error = run_with_retries(generator.plan(lock_timeout=LOCK_SECONDS, full_publish=FullPublish.DELETE))
        assert error is None
    assert digest(stored_rows(generator.bench)) == digest(generator.expected())


@pytest.mark.parametrize("generator", [Strategy.UPSERT], indirect=True)
def test_a_table_that_is_locked_after_the_publish_keeps_the_published_rows(generator: Generator) -> None:
    bench = generator.bench
    with holder(bench) as other:

        def lock(event: Event) -> None:
            if isinstance(event, Published):
                hold(other, "SHARE")

        events, error = run_with_retries(generator.plan(lock_timeout=LOCK_SECONDS), lock)
        assert HOLDER in check_lock_timeouts(events, error)
        assert last_step(events) == "reconcile"
        assert len([event for event in events if isinstance(event, Published)]) == 1
        assert digest(stored_rows(bench)) == digest(generator.expected_before_key_sync())
    bench.run(generator.plan())
    assert digest(stored_rows(bench)) == digest(generator.expected())


def test_the_check_fails_if_the_table_is_not_locked(generator: Generator) -> None:
    with pytest.raises(AssertionError, match="the run did not wait for a lock"):
        check_lock_timeouts(*run_with_retries(generator.plan(lock_timeout=LOCK_SECONDS)))

"""Runs with a short no_progress_timeout, and checks that they time out or run to the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

from connections.sdk.errors import NoProgress, PipekitError
from connections.sdk.parameters import ConnectionParameters
from runs.engine import events
from runs.engine.plan import Plan
from tests.harness.bench import Bench, Result
from tests.servers.proxy import Proxy

QUERY = "SELECT k, v FROM s"


# no_progress_timeout in seconds
TIMEOUT = 2


# for runs that must not time out: long enough to check whether the peer is busy on a machine with much load
LONG_TIMEOUT = 5


def wide(bench: Bench) -> Bench:
    """Insert rows enough for many messages into the source, and one into the destination."""
    text = "repeat('x', 500)" if bench.source.kind == "postgresql" else "printf('%.500c', 'x')"
    numbers = "WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < 2000)"
    bench.at_source("CREATE TABLE s (k int, v text)", f"INSERT INTO s {numbers} SELECT n, {text} FROM g")
    bench.at_destination(
        "CREATE SCHEMA sync", "CREATE TABLE sync.t (k int, v text)", "INSERT INTO sync.t VALUES (0, 'old')"
    )
    return bench


def with_timeout(plan: Plan, seconds: int = TIMEOUT) -> Plan:
    """Return the plan as it is built when the setting no_progress_timeout has this value."""
    options = {"no_progress_timeout": seconds}
    return replace(
        plan,
        source=replace(plan.source, options={**plan.source.options, **options}),
        destination=replace(plan.destination, options={**plan.destination.options, **options}),
        no_progress_timeout=seconds,
        force=True,
    )


def through(parameters: ConnectionParameters, proxy: Proxy) -> ConnectionParameters:
    database = urlsplit(parameters.url).path
    return replace(parameters, url=f"postgresql://127.0.0.1:{proxy.port}{database}", username="postgres")


def failure(bench: Bench, plan: Plan) -> PipekitError | None:
    try:
        bench.run(plan)
    except PipekitError as error:
        return error
    return None


def run_into_timeout(bench: Bench, plan: Plan, fired: Callable[[], bool]) -> None:
    """Run the plan; check that its fault fired, that the run timed out, and that nothing was published."""
    error = failure(bench, plan)
    assert fired(), "nothing was stopped"
    assert isinstance(error, NoProgress), error
    assert (error.code, error.retryable) == ("no_progress", True)
    assert "no_progress_timeout" in error.hint
    assert bench.rows() == [(0, "old")]


def run_to_the_end(bench: Bench, plan: Plan) -> None:
    """Run the plan; check that it publishes everything."""
    bench.run(plan)
    assert bench.rows("SELECT count(*), count(DISTINCT k), min(length(v)) FROM sync.t") == [(2000, 2000, 500)]


def transfer_seconds(result: Result) -> float:
    """Return how many seconds the transfer took."""
    steps = [event for event in result.events if isinstance(event, events.StepFinished)]
    return next(step.seconds for step in steps if step.step == "transfer")

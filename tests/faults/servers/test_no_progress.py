"""Peers that neither answer nor close the connection: the run times out, nothing is published, the next run succeeds.

A peer that is busy for longer than the timeout does not make the run time out.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from connections.sdk.errors import NoProgress
from runs.engine import events
from runs.engine.plan import Hook, RunOn, Strategy
from runs.engine.retry import run_with_retries
from runs.process.control import descendants
from tests.faults.servers.no_progress import (
    LONG_TIMEOUT,
    QUERY,
    TIMEOUT,
    failure,
    run_into_timeout,
    run_to_the_end,
    through,
    transfer_seconds,
    wide,
    with_timeout,
)
from tests.faults.servers.stopped_server import COPYING, PUBLISHING, Stopper
from tests.harness.bench import Bench, retry_policy
from tests.processes.commands import alive, backends, is_jrunner, wait_until
from tests.servers.proxy import Fault, Proxy

BULK = b"x" * 400
COMMIT_RECORD = b'pipekit_commits" (run'
SLOW_QUERY = "SELECT k, v || pg_sleep(0.005)::text AS v FROM s"


@pytest.fixture(params=["raw", "arrow"])
def table(request: pytest.FixtureRequest) -> Bench:
    """A table for each route to PostgreSQL."""
    return wide(request.getfixturevalue("pg_bench" if request.param == "raw" else "bench"))


@pytest.mark.short_time_limits
@pytest.mark.parametrize("fault", [Fault.FREEZE, Fault.FREEZE_AFTER])
def test_a_transfer_whose_connection_freezes_times_out(table: Bench, proxy: Proxy, fault: Fault) -> None:
    plan = with_timeout(table.plan(QUERY, destination=through(table.destination, proxy)))
    proxy.break_at(fault, BULK)
    run_into_timeout(table, plan, lambda: proxy.fired == 1)
    # including the frozen session, which would keep its lock on staging
    wait_until(lambda: not backends(table.destination.url))
    run_to_the_end(table, plan)


@pytest.mark.short_time_limits
def test_a_source_whose_connection_freezes_before_the_first_row_times_out(pg_bench: Bench, proxy: Proxy) -> None:
    plan = with_timeout(wide(pg_bench).plan(QUERY, source=through(pg_bench.source, proxy)))
    proxy.break_at(Fault.FREEZE, b"COPY ")
    run_into_timeout(pg_bench, plan, lambda: proxy.fired == 1)
    wait_until(lambda: not backends(pg_bench.source.url))
    run_to_the_end(pg_bench, plan)


@pytest.mark.short_time_limits
@pytest.mark.parametrize(
    ("trigger", "after"),
    [
        pytest.param(b"pg_attribute", b"", id="resolve"),
        pytest.param(b"INCLUDING ALL", b"", id="stage"),
        pytest.param(b"INSERT INTO", COMMIT_RECORD, id="publish"),
        pytest.param(b"COMMIT", COMMIT_RECORD, id="commit"),
        pytest.param(b"SELECT 'hook'", b"", id="hook"),
    ],
)
def test_a_statement_whose_connection_freezes_times_out(
    pg_bench: Bench, proxy: Proxy, trigger: bytes, after: bytes
) -> None:
    plan = with_timeout(wide(pg_bench).plan(QUERY, destination=through(pg_bench.destination, proxy)))
    hook = Hook(sql="SELECT 'hook'", run_on=RunOn.BEFORE, connection=plan.destination)
    proxy.break_at(Fault.FREEZE, trigger, after=after)
    run_into_timeout(pg_bench, replace(plan, hooks=(hook,)), lambda: proxy.fired == 1)
    wait_until(lambda: not backends(pg_bench.destination.url))
    run_to_the_end(pg_bench, plan)


@pytest.mark.short_time_limits
def test_a_run_that_never_receives_the_answer_to_commit_finds_its_commit_record(pg_bench: Bench, proxy: Proxy) -> None:
    plan = with_timeout(wide(pg_bench).plan(QUERY, destination=through(pg_bench.destination, proxy)))
    proxy.break_at(Fault.FREEZE_AFTER, b"COMMIT", after=COMMIT_RECORD)
    result = pg_bench.run(plan)
    assert proxy.fired == 1
    assert result.last(events.Published).recovered
    assert pg_bench.rows("SELECT count(*) FROM sync.t") == [(2000,)]


@pytest.mark.short_time_limits
@pytest.mark.parametrize("whole", [False, True], ids=["backend", "server"])
def test_a_transfer_into_a_stopped_server_times_out(pg_bench: Bench, whole: bool) -> None:
    plan = with_timeout(wide(pg_bench).plan(QUERY))
    stopper = Stopper(pg_bench.destination.url, COPYING, whole=whole)
    with stopper.active():
        error = failure(pg_bench, replace(plan, source_query=SLOW_QUERY))
    assert stopper.fired, "nothing was stopped"
    assert isinstance(error, NoProgress), error
    wait_until(lambda: not backends(pg_bench.destination.url))
    assert pg_bench.rows() == [(0, "old")]
    run_to_the_end(pg_bench, plan)


@pytest.mark.short_time_limits
def test_a_stopped_jrunner_times_out_and_leaves_no_process_and_no_session(pg_bench: Bench) -> None:
    plan = with_timeout(wide(pg_bench).plan(QUERY))
    jrunners: list[int] = []

    def stop() -> None:
        wait_until(lambda: any(map(is_jrunner, descendants(os.getpid()))))
        jrunners.extend(filter(is_jrunner, descendants(os.getpid())))
        os.kill(jrunners[0], signal.SIGSTOP)

    thread = threading.Thread(target=stop)
    thread.start()
    run_into_timeout(pg_bench, replace(plan, source_query=SLOW_QUERY), lambda: bool(jrunners))
    thread.join()
    assert not alive(jrunners[0])
    wait_until(lambda: not backends(pg_bench.source.url) and not backends(pg_bench.destination.url))
    run_to_the_end(pg_bench, plan)


@pytest.fixture
def publishing(pg_bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Stopper]:
    """Return a stopper of the whole server for while a run sleeps at a point of its publish."""

    def stop_at(point: str) -> Stopper:
        log = tmp_path / "points"
        monkeypatch.setenv("PIPEKIT_FAULT_LOG", str(log))
        monkeypatch.setenv("PIPEKIT_FAULTS", f"{point}=sleep:1")
        url = pg_bench.destination.url
        return Stopper(url, PUBLISHING, whole=True, when=lambda: log.exists() and "sleep" in log.read_text())

    return stop_at


@pytest.mark.short_time_limits
def test_a_publish_on_a_stopped_server_times_out(
    pg_bench: Bench, publishing: Callable[[str], Stopper], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = with_timeout(wide(pg_bench).plan(QUERY))
    stopper = publishing("publish.begun")
    with stopper.active():
        error = failure(pg_bench, plan)
    assert stopper.fired, "nothing was stopped"
    assert isinstance(error, NoProgress), error
    assert "not known" in error.message
    wait_until(lambda: not backends(pg_bench.destination.url))
    assert pg_bench.rows() == [(0, "old")]
    monkeypatch.delenv("PIPEKIT_FAULTS")
    run_to_the_end(pg_bench, plan)


@pytest.mark.short_time_limits
def test_a_retry_finds_the_commit_of_a_server_that_was_stopped(
    pg_bench: Bench, publishing: Callable[[str], Stopper]
) -> None:
    """The COMMIT is in the server's socket; the server executes it when it is resumed."""
    plan = with_timeout(wide(pg_bench).plan(QUERY, strategy=Strategy.APPEND, watermark="k"))
    stopper, run_events = publishing("publish.before_commit"), []
    with stopper.active():
        for event in run_with_retries(plan, retry_policy(max_retries=2, delay=0), must_stop=lambda: False):
            run_events.append(event)
            if isinstance(event, events.AttemptFailed):
                stopper.resume()
    assert stopper.fired, "nothing was stopped"
    failed = [event for event in run_events if isinstance(event, events.AttemptFailed)]
    assert failed[0].code == "no_progress"
    published = [event for event in run_events if isinstance(event, events.Published)]
    assert [event.recovered for event in published] == [True]
    assert pg_bench.rows("SELECT count(*), count(DISTINCT k) FROM sync.t") == [(2001, 2001)]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("fault", ["freeze", "stop"])
def test_the_check_of_a_timeout_fails_if_nothing_is_stopped(pg_bench: Bench, proxy: Proxy, fault: str) -> None:
    # under load there may be no progress for longer than the timeout of the other tests
    plan = with_timeout(wide(pg_bench).plan(QUERY, destination=through(pg_bench.destination, proxy)), seconds=60)
    proxy.break_at(Fault.NONE, BULK)
    stopper = Stopper(pg_bench.destination.url, f"{COPYING} AND false", whole=True)
    with stopper.active(), pytest.raises(AssertionError, match="nothing was stopped"):
        run_into_timeout(pg_bench, plan, lambda: proxy.fired == 1 if fault == "freeze" else stopper.fired)
    assert pg_bench.rows("SELECT count(*) FROM sync.t") == [(2000,)]


@pytest.mark.short_time_limits
@pytest.mark.parametrize(
    "query",
    [
        pytest.param("SELECT k, v FROM s, pg_sleep(8)", id="before the first row"),
        pytest.param(
            "SELECT k, v || CASE k WHEN 1000 THEN pg_sleep(8)::text ELSE '' END AS v FROM s", id="between rows"
        ),
        pytest.param(
            "SELECT k, v FROM s UNION ALL SELECT 1, p FROM (SELECT pg_sleep(8)::text AS p OFFSET 0) q WHERE p = 'x'",
            id="after the last row",
        ),
    ],
)
@pytest.mark.parametrize("route", ["raw", "arrow"])
def test_a_source_that_is_busy_for_longer_than_the_timeout_is_waited_for(
    pg_bench: Bench, query: str, route: str, tmp_path: Path
) -> None:
    wide(pg_bench)
    if route == "arrow":
        # the check of lengths chooses this route
        pg_bench.at_destination("ALTER TABLE sync.t ALTER v TYPE varchar(600)")
    plan = with_timeout(pg_bench.plan(query), LONG_TIMEOUT)
    result = pg_bench.run(plan)
    assert result.last(events.RouteChosen).route == route
    assert transfer_seconds(result) > LONG_TIMEOUT
    assert pg_bench.rows("SELECT count(*), min(length(v)) FROM sync.t") == [(2000, 500)]


@pytest.mark.short_time_limits
def test_a_query_of_a_file_that_takes_longer_than_the_timeout_is_waited_for(bench: Bench) -> None:
    wide(bench)
    numbers = "WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < 20000000)"
    plan = with_timeout(bench.plan(f"{numbers} SELECT 1 AS k, 'x' AS v FROM g WHERE n = 20000000"))
    result = bench.run(plan)
    assert transfer_seconds(result) > TIMEOUT, "it did not take long"
    assert bench.rows() == [(1, "x")]


@pytest.mark.short_time_limits
def test_a_statement_that_is_busy_for_longer_than_the_timeout_is_waited_for(pg_bench: Bench) -> None:
    wide(pg_bench).at_destination(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(8); RETURN NULL; END'",
        "CREATE TRIGGER slow AFTER INSERT ON sync.t EXECUTE FUNCTION slow()",
    )
    run_to_the_end(pg_bench, with_timeout(pg_bench.plan(QUERY), LONG_TIMEOUT))

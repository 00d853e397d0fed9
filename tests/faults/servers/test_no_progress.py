"""Peers that neither answer nor hang up: the run gives up in time, nothing is published, the next run is right.

What only takes long is waited for.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from connections.sdk.errors import NoProgress, PipekitError
from connections.sdk.parameters import ConnectionParameters
from runs.engine import events, retry
from runs.engine.plan import Hook, Plan, RunOn, Strategy
from runs.process.control import descendants
from tests.benches.bench import Bench, Result
from tests.faults.servers.stopped_server import COPYING, PUBLISHING, Stopper
from tests.processes.commands import alive, backends, is_jrunner, wait_until
from tests.servers.proxy import Fault, Proxy

QUERY = "SELECT k, v FROM s"
# seconds for which silence is borne here
BORNE = 2
# where it is to be borne: a busy machine must have the time to ask
LONGER = 5
BULK = b"x" * 400
COMMIT_RECORD = b'pipekit_commits" (run'
SLOWLY = "SELECT k, v || pg_sleep(0.005)::text AS v FROM s"


def wide(bench: Bench) -> Bench:
    """Rows enough for many messages, one of them at the destination already."""
    text = "repeat('x', 500)" if bench.source.kind == "postgresql" else "printf('%.500c', 'x')"
    numbers = "WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < 2000)"
    bench.at_source("CREATE TABLE s (k int, v text)", f"INSERT INTO s {numbers} SELECT n, {text} FROM g")
    bench.at_destination(
        "CREATE SCHEMA sync", "CREATE TABLE sync.t (k int, v text)", "INSERT INTO sync.t VALUES (0, 'old')"
    )
    return bench


def impatient(plan: Plan, seconds: int = BORNE) -> Plan:
    """The plan as it is made when the operator bears little silence."""
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


def given_up(bench: Bench, plan: Plan, fired: Callable[[], bool]) -> None:
    """Run the plan; prove that its fault fired, that it was given up, and that nothing came of it."""
    error = failure(bench, plan)
    assert fired(), "nothing stood still"
    assert isinstance(error, NoProgress), error
    assert (error.code, error.retryable) == ("no_progress", True)
    assert "no_progress_timeout" in error.hint
    assert bench.rows() == [(0, "old")]


def right(bench: Bench, plan: Plan) -> None:
    bench.run(plan)
    assert bench.rows("SELECT count(*), count(DISTINCT k), min(length(v)) FROM sync.t") == [(2000, 2000, 500)]


def transferring(result: Result) -> float:
    """How many seconds the transfer took."""
    steps = [event for event in result.events if isinstance(event, events.StepFinished)]
    return next(step.seconds for step in steps if step.step == "transfer")


@pytest.fixture(params=["raw", "arrow"])
def table(request: pytest.FixtureRequest) -> Bench:
    """By each route to PostgreSQL."""
    return wide(request.getfixturevalue("pg_bench" if request.param == "raw" else "bench"))


@pytest.mark.serial
@pytest.mark.parametrize("fault", [Fault.FREEZE, Fault.FREEZE_AFTER])
def test_a_transfer_whose_wire_freezes_is_given_up(table: Bench, proxy: Proxy, fault: Fault) -> None:
    plan = impatient(table.plan(QUERY, destination=through(table.destination, proxy)))
    proxy.break_at(fault, BULK)
    given_up(table, plan, lambda: proxy.fired == 1)
    # the frozen session is ended too, which would hold staging
    wait_until(lambda: not backends(table.destination.url))
    right(table, plan)


@pytest.mark.serial
def test_a_source_whose_wire_freezes_before_the_first_row_is_given_up(pg_bench: Bench, proxy: Proxy) -> None:
    plan = impatient(wide(pg_bench).plan(QUERY, source=through(pg_bench.source, proxy)))
    proxy.break_at(Fault.FREEZE, b"COPY ")
    given_up(pg_bench, plan, lambda: proxy.fired == 1)
    wait_until(lambda: not backends(pg_bench.source.url))
    right(pg_bench, plan)


@pytest.mark.serial
@pytest.mark.parametrize(
    ("trigger", "after"),
    [
        pytest.param(b"pg_attribute", b"", id="resolve"),
        pytest.param(b"CREATE UNLOGGED", b"", id="stage"),
        pytest.param(b"INSERT INTO", COMMIT_RECORD, id="publish"),
        pytest.param(b"COMMIT", COMMIT_RECORD, id="commit"),
        pytest.param(b"SELECT 'hook'", b"", id="hook"),
    ],
)
def test_a_statement_whose_wire_freezes_is_given_up(
    pg_bench: Bench, proxy: Proxy, trigger: bytes, after: bytes
) -> None:
    plan = impatient(wide(pg_bench).plan(QUERY, destination=through(pg_bench.destination, proxy)))
    hook = Hook(sql="SELECT 'hook'", run_on=RunOn.BEFORE, connection=plan.destination)
    proxy.break_at(Fault.FREEZE, trigger, after=after)
    given_up(pg_bench, replace(plan, hooks=(hook,)), lambda: proxy.fired == 1)
    wait_until(lambda: not backends(pg_bench.destination.url))
    right(pg_bench, plan)


@pytest.mark.serial
def test_when_the_answer_to_commit_never_comes_the_commit_record_is_asked(pg_bench: Bench, proxy: Proxy) -> None:
    plan = impatient(wide(pg_bench).plan(QUERY, destination=through(pg_bench.destination, proxy)))
    proxy.break_at(Fault.FREEZE_AFTER, b"COMMIT", after=COMMIT_RECORD)
    result = pg_bench.run(plan)
    assert proxy.fired == 1
    assert result.last(events.Published).recovered
    assert pg_bench.rows("SELECT count(*) FROM sync.t") == [(2000,)]


@pytest.mark.serial
@pytest.mark.parametrize("whole", [False, True], ids=["backend", "server"])
def test_a_transfer_into_a_server_that_stands_still_is_given_up(pg_bench: Bench, whole: bool) -> None:
    plan = impatient(wide(pg_bench).plan(QUERY))
    stopper = Stopper(pg_bench.destination.url, COPYING, whole=whole)
    with stopper.at_work():
        error = failure(pg_bench, replace(plan, source_query=SLOWLY))
    assert stopper.fired, "nothing stood still"
    assert isinstance(error, NoProgress), error
    wait_until(lambda: not backends(pg_bench.destination.url))
    assert pg_bench.rows() == [(0, "old")]
    right(pg_bench, plan)


@pytest.mark.serial
def test_a_jrunner_that_stands_still_is_given_up_and_leaves_nothing(pg_bench: Bench) -> None:
    plan = impatient(wide(pg_bench).plan(QUERY))
    found: list[int] = []

    def stop() -> None:
        wait_until(lambda: any(map(is_jrunner, descendants(os.getpid()))))
        found.extend(filter(is_jrunner, descendants(os.getpid())))
        os.kill(found[0], signal.SIGSTOP)

    thread = threading.Thread(target=stop)
    thread.start()
    given_up(pg_bench, replace(plan, source_query=SLOWLY), lambda: bool(found))
    thread.join()
    assert not alive(found[0])
    wait_until(lambda: not backends(pg_bench.source.url) and not backends(pg_bench.destination.url))
    right(pg_bench, plan)


@pytest.fixture
def publishing(pg_bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Stopper]:
    """What stops the whole server while a run rests at a point of its publish."""

    def resting(point: str) -> Stopper:
        log = tmp_path / "points"
        monkeypatch.setenv("PIPEKIT_FAULT_LOG", str(log))
        monkeypatch.setenv("PIPEKIT_FAULTS", f"{point}=sleep:1")
        url = pg_bench.destination.url
        return Stopper(url, PUBLISHING, whole=True, when=lambda: log.exists() and "sleep" in log.read_text())

    return resting


@pytest.mark.serial
def test_a_publish_on_a_server_that_stands_still_is_given_up(
    pg_bench: Bench, publishing: Callable[[str], Stopper], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = impatient(wide(pg_bench).plan(QUERY))
    stopper = publishing("publish.begun")
    with stopper.at_work():
        error = failure(pg_bench, plan)
    assert stopper.fired, "nothing stood still"
    assert isinstance(error, NoProgress), error
    assert "not known" in error.message
    wait_until(lambda: not backends(pg_bench.destination.url))
    assert pg_bench.rows() == [(0, "old")]
    monkeypatch.delenv("PIPEKIT_FAULTS")
    right(pg_bench, plan)


@pytest.mark.serial
def test_a_retry_finds_the_commit_of_a_server_that_stood_still(
    pg_bench: Bench, publishing: Callable[[str], Stopper]
) -> None:
    """The server has the COMMIT in its socket, and carries it out when it goes on."""
    plan = impatient(wide(pg_bench).plan(QUERY, strategy=Strategy.APPEND, watermark="k"))
    stopper, told = publishing("publish.before_commit"), []
    with stopper.at_work():
        for event in retry.run(plan, retry.Policy(max_retries=2, delay=0), still_ours=lambda: True):
            told.append(event)
            if isinstance(event, events.AttemptFailed):
                stopper.go_on()
    assert stopper.fired, "nothing stood still"
    failed = [event for event in told if isinstance(event, events.AttemptFailed)]
    assert failed[0].code == "no_progress"
    published = [event for event in told if isinstance(event, events.Published)]
    assert [event.recovered for event in published] == [True]
    assert pg_bench.rows("SELECT count(*), count(DISTINCT k) FROM sync.t") == [(2001, 2001)]


@pytest.mark.parametrize("fault", ["freeze", "stop"])
def test_where_nothing_stands_still_there_is_no_proof(pg_bench: Bench, proxy: Proxy, fault: str) -> None:
    # a busy machine is silent for longer than the others bear
    plan = impatient(wide(pg_bench).plan(QUERY, destination=through(pg_bench.destination, proxy)), seconds=60)
    proxy.break_at(Fault.NONE, BULK)
    stopper = Stopper(pg_bench.destination.url, f"{COPYING} AND false", whole=True)
    with stopper.at_work(), pytest.raises(AssertionError, match="nothing stood still"):
        given_up(pg_bench, plan, lambda: proxy.fired == 1 if fault == "freeze" else stopper.fired)
    assert pg_bench.rows("SELECT count(*) FROM sync.t") == [(2000,)]


@pytest.mark.serial
@pytest.mark.parametrize(
    "query",
    [
        pytest.param("SELECT k, v FROM s, pg_sleep(10)", id="before the first row"),
        pytest.param(
            "SELECT k, v || CASE k WHEN 1000 THEN pg_sleep(10)::text ELSE '' END AS v FROM s", id="between rows"
        ),
        pytest.param(
            "SELECT k, v FROM s UNION ALL SELECT 1, p FROM (SELECT pg_sleep(10)::text AS p OFFSET 0) q WHERE p = 'x'",
            id="after the last row",
        ),
    ],
)
@pytest.mark.parametrize("route", ["raw", "arrow"])
def test_a_source_that_works_for_longer_is_waited_for(pg_bench: Bench, query: str, route: str, tmp_path: Path) -> None:
    wide(pg_bench)
    if route == "arrow":
        # a length is checked on the way
        pg_bench.at_destination("ALTER TABLE sync.t ALTER v TYPE varchar(600)")
    plan = impatient(pg_bench.plan(query), LONGER)
    result = pg_bench.run(plan)
    assert result.last(events.RouteChosen).route == route
    assert transferring(result) > LONGER
    assert pg_bench.rows("SELECT count(*), min(length(v)) FROM sync.t") == [(2000, 500)]


@pytest.mark.serial
def test_a_file_that_is_searched_for_longer_is_waited_for(bench: Bench) -> None:
    wide(bench)
    count = "WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < 40000000)"
    plan = impatient(bench.plan(f"{count} SELECT 1 AS k, 'x' AS v FROM g WHERE n = 40000000"))
    result = bench.run(plan)
    assert transferring(result) > BORNE, "it did not take long"
    assert bench.rows() == [(1, "x")]


@pytest.mark.serial
def test_a_statement_that_works_for_longer_is_waited_for(pg_bench: Bench) -> None:
    wide(pg_bench).at_destination(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(10); RETURN NULL; END'",
        "CREATE TRIGGER slow AFTER INSERT ON sync.t EXECUTE FUNCTION slow()",
    )
    right(pg_bench, impatient(pg_bench.plan(QUERY), LONGER))

"""Connections that break before COMMIT, at COMMIT and during the transfer."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from connections.sdk.errors import PipekitError
from runs.engine import events
from runs.engine.plan import Plan, Strategy
from tests.harness.bench import Bench, Rows
from tests.servers.proxy import Fault, Proxy

pytestmark = pytest.mark.matrix

QUERY = "SELECT k, v FROM s"
COMMIT_RECORD = b'pipekit_commits" (run'


@pytest.fixture
def numbers(pg_bench: Bench) -> Bench:
    pg_bench.at_source(
        "CREATE TABLE s (k int PRIMARY KEY, v text)", "INSERT INTO s SELECT n, 'v' || n FROM generate_series(1, 100) n"
    )
    pg_bench.run(pg_bench.plan(QUERY))
    pg_bench.at_source("INSERT INTO s VALUES (101, 'new')")
    return pg_bench


def through(bench: Bench, proxy: Proxy, strategy: Strategy) -> Plan:
    """Return a plan whose connections to the destination go through the proxy."""
    database = urlsplit(bench.destination.url).path
    destination = replace(bench.destination, url=f"postgresql://127.0.0.1:{proxy.port}{database}", username="postgres")
    key = ("k",) if strategy in (Strategy.INCREMENTAL, Strategy.UPSERT) else ()
    watermark = "k" if strategy is Strategy.APPEND else ""
    return bench.plan(QUERY, strategy=strategy, merge_key=key, watermark=watermark, destination=destination)


def expected(bench: Bench) -> Rows:
    return bench.rows("SELECT n, CASE WHEN n > 100 THEN 'new' ELSE 'v' || n END FROM generate_series(1, 101) n")


@pytest.mark.parametrize("strategy", list(Strategy))
def test_a_run_that_lost_the_answer_to_commit_finds_its_commit_record(
    numbers: Bench, proxy: Proxy, strategy: Strategy
) -> None:
    proxy.break_at(Fault.LOSE_ANSWER, b"COMMIT", after=COMMIT_RECORD)
    result = numbers.run(through(numbers, proxy, strategy))
    assert proxy.fired == 1
    assert result.last(events.Published).recovered
    assert numbers.rows() == expected(numbers)


@pytest.mark.parametrize("strategy", list(Strategy))
def test_a_connection_reset_before_commit_publishes_nothing(numbers: Bench, proxy: Proxy, strategy: Strategy) -> None:
    before = numbers.rows()
    plan = through(numbers, proxy, strategy)
    proxy.break_at(Fault.RESET, b"COMMIT", after=COMMIT_RECORD)
    with pytest.raises(PipekitError) as caught:
        numbers.run(plan)
    assert proxy.fired == 1
    assert caught.value.retryable
    assert numbers.rows() == before
    # the proxy passes everything again
    assert numbers.run(plan).last(events.Published).recovered is False
    assert numbers.rows() == expected(numbers)


def test_a_connection_reset_during_the_transfer_publishes_nothing(numbers: Bench, proxy: Proxy) -> None:
    numbers.at_source("INSERT INTO s SELECT n, repeat('x', 500) FROM generate_series(1000, 20000) n")
    before = numbers.rows()
    plan = through(numbers, proxy, Strategy.FULL)
    proxy.break_at(Fault.RESET, b"x" * 400)
    with pytest.raises(PipekitError) as caught:
        numbers.run(plan)
    assert proxy.fired == 1
    assert caught.value.retryable, caught.value.code
    assert numbers.rows() == before


def test_a_run_through_a_proxy_without_faults_publishes_as_usual(numbers: Bench, proxy: Proxy) -> None:
    result = numbers.run(through(numbers, proxy, Strategy.FULL))
    assert proxy.fired == 0
    assert not result.last(events.Published).recovered
    assert numbers.rows() == expected(numbers)

"""The connection to the destination freezes, or the server does.

A cancel ends the run within 20 seconds, and nothing is published. Without a cancel the run times out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from modules.models import Module
from runs.lifecycle.cancel import CancelResult, cancel_execution
from runs.lifecycle.insert import RunRequest
from runs.lifecycle.launch import launch_run
from runs.models import Run
from tests.factories import change_settings
from tests.faults.changing_source import processes_logging_to
from tests.faults.servers.stopped_server import PUBLISHING, Stopper
from tests.harness.bench import Bench
from tests.processes.commands import backends, manage, wait_until
from tests.servers.proxy import Fault, Proxy

TABLE = "SELECT k, left(v, 3) FROM sync.orders ORDER BY k"
# bytes sent to the destination at which the connection freezes, and bytes sent before them on the same connection
TRANSFER, PUBLISH = (b"x" * 400, b""), (b"COMMIT", b'pipekit_commits" (run')
MANY_ROWS = "INSERT INTO s SELECT n, repeat('x', 500) FROM generate_series(3, 20000) n"


@pytest.fixture
def orders(pg_bench: Bench, proxy: Proxy, save_module: Callable[..., Module], save_connection: Any) -> Module:
    """An append through the proxy with one new row."""
    pg_bench.at_source("CREATE TABLE s (k int, v text)", "INSERT INTO s VALUES (1, 'old'), (2, 'new')")
    pg_bench.at_destination(
        "CREATE SCHEMA sync", "CREATE TABLE sync.orders (k int, v text)", "INSERT INTO sync.orders VALUES (1, 'old')"
    )
    database = urlsplit(pg_bench.destination.url).path
    through_proxy = replace(pg_bench.destination, url=f"jdbc:postgresql://127.0.0.1:{proxy.port}{database}")
    return save_module(
        "orders",
        "SELECT k, v FROM s",
        source=save_connection(pg_bench.source),
        destination=save_connection(through_proxy, username="postgres"),
        merge_strategy="append",
        watermark_column="k",
        max_retries=0,
    )


def check_frozen(proxy: Proxy) -> None:
    assert proxy.fired == 1, "the connection did not freeze"


@pytest.mark.short_time_limits
@pytest.mark.parametrize("step", [TRANSFER, PUBLISH], ids=["transfer", "publish"])
def test_a_cancel_ends_a_run_whose_connection_is_frozen(
    pg_bench: Bench,
    orders: Module,
    proxy: Proxy,
    step: tuple[bytes, bytes],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    if step == TRANSFER:
        pg_bench.at_source(MANY_ROWS)
    before = pg_bench.rows(TABLE)
    # inherited by the run and its jrunner, which are found by it
    monkeypatch.setenv("PIPEKIT_FAULT_LOG", str(tmp_path / "points"))
    proxy.break_at(Fault.FREEZE, step[0], after=step[1])
    run = launch_run(orders, RunRequest())
    wait_until(lambda: proxy.fired)
    check_frozen(proxy)
    # the run does not end by itself
    time.sleep(2)
    assert list(processes_logging_to(tmp_path / "points"))
    monkeypatch.delenv("PIPEKIT_FAULT_LOG")
    cancelled_at = time.monotonic()
    assert cancel_execution(run) is CancelResult.REQUESTED
    wait_until(lambda: Run.objects.get(pk=run.pk).is_final)
    wait_until(lambda: not list(processes_logging_to(tmp_path / "points")))
    # including the frozen session, whose connection is still open
    wait_until(lambda: not backends(pg_bench.source.url) and not backends(pg_bench.destination.url))
    assert time.monotonic() - cancelled_at < 20
    run.refresh_from_db()
    assert (run.status, run.published_at) == ("cancelled", None)
    assert pg_bench.rows(TABLE) == before
    # the proxy passes everything again
    result = manage("runmodule", "orders", "--quiet")
    assert result.code == 0, result.err
    assert pg_bench.rows(TABLE) == pg_bench.rows(
        "SELECT 1, 'old' UNION ALL SELECT 2, 'new' UNION ALL"
        f" SELECT n, 'xxx' FROM generate_series(3, {20000 if step == TRANSFER else 2}) n ORDER BY 1"
    )


@pytest.mark.short_time_limits
def test_a_cancel_ends_a_run_whose_server_is_stopped(
    pg_bench: Bench, orders: Module, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = pg_bench.rows(TABLE)
    log = tmp_path / "points"
    stopper = Stopper(
        pg_bench.destination.url, PUBLISHING, whole=True, when=lambda: log.exists() and "sleep" in log.read_text()
    )
    monkeypatch.setenv("PIPEKIT_FAULT_LOG", str(log))
    monkeypatch.setenv("PIPEKIT_FAULTS", "publish.begun=sleep:1")
    with stopper.active():
        run = launch_run(orders, RunRequest())
        wait_until(lambda: stopper.fired)
        time.sleep(2)
        monkeypatch.delenv("PIPEKIT_FAULT_LOG")
        monkeypatch.delenv("PIPEKIT_FAULTS")
        cancelled_at = time.monotonic()
        assert cancel_execution(run) is CancelResult.REQUESTED
        wait_until(lambda: Run.objects.get(pk=run.pk).is_final)
        wait_until(lambda: not list(processes_logging_to(log)))
        assert time.monotonic() - cancelled_at < 20
    run.refresh_from_db()
    assert (run.status, run.published_at) == ("cancelled", None)
    assert "not known" in (run.error or {})["message"]
    # the server receives the cancel request when it is resumed
    wait_until(lambda: not backends(pg_bench.destination.url))
    assert pg_bench.rows(TABLE) == before
    assert manage("runmodule", "orders", "--quiet").code == 0
    assert pg_bench.rows(TABLE) == [(1, "old"), (2, "new")]


@pytest.mark.short_time_limits
def test_a_run_whose_connection_freezes_times_out_and_is_retried(pg_bench: Bench, orders: Module, proxy: Proxy) -> None:
    pg_bench.at_source(MANY_ROWS)
    change_settings(no_progress_timeout=3)
    Module.objects.filter(pk=orders.pk).update(max_retries=1, retry_delay=1)
    proxy.break_at(Fault.FREEZE, TRANSFER[0])
    run = launch_run(orders, RunRequest())
    wait_until(lambda: Run.objects.get(pk=run.pk).is_final, seconds=90)
    check_frozen(proxy)
    run.refresh_from_db()
    assert run.status == "success", run.error
    assert [attempt["code"] for attempt in run.attempts or []] == ["no_progress"]
    assert pg_bench.rows("SELECT count(*), count(DISTINCT k) FROM sync.orders") == [(20000, 20000)]


@pytest.mark.short_time_limits
@pytest.mark.parametrize("step", [TRANSFER, PUBLISH], ids=["transfer", "publish"])
def test_the_check_fails_if_the_connection_does_not_freeze(
    pg_bench: Bench, orders: Module, proxy: Proxy, step: tuple[bytes, bytes]
) -> None:
    proxy.break_at(Fault.NONE, step[0], after=step[1])
    assert manage("runmodule", "orders", "--quiet").code == 0
    with pytest.raises(AssertionError, match="did not freeze"):
        check_frozen(proxy)
    assert pg_bench.rows(TABLE) == [(1, "old"), (2, "new")]

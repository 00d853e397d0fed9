"""The wire to the destination falls silent, or the server does: a cancel ends the run within 20 seconds, and nothing is
published; without one the run gives up by itself.
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
from runs.lifecycle import cancel
from runs.lifecycle.cancel import CancelResult
from runs.lifecycle.claim import Request
from runs.lifecycle.launch import launch
from runs.models import Run
from tests.benches.bench import Bench
from tests.factories import change_settings
from tests.faults.changing_source import processes_of
from tests.faults.servers.stopped_server import PUBLISHING, Stopper
from tests.processes.commands import backends, manage, wait_until
from tests.servers.proxy import Fault, Proxy

TABLE = "SELECT k, left(v, 3) FROM sync.orders ORDER BY k"
# what is said to the destination at that moment, and what before on the same connection
TRANSFER, PUBLISH = (b"x" * 400, b""), (b"COMMIT", b'pipekit_commits" (run')
BIG = "INSERT INTO s SELECT n, repeat('x', 500) FROM generate_series(3, 20000) n"


@pytest.fixture
def orders(pg_bench: Bench, proxy: Proxy, save_module: Callable[..., Module], save_connection: Any) -> Module:
    """An append through the proxy, with a row to come."""
    pg_bench.at_source("CREATE TABLE s (k int, v text)", "INSERT INTO s VALUES (1, 'old'), (2, 'new')")
    pg_bench.at_destination(
        "CREATE SCHEMA sync", "CREATE TABLE sync.orders (k int, v text)", "INSERT INTO sync.orders VALUES (1, 'old')"
    )
    database = urlsplit(pg_bench.destination.url).path
    frozen = replace(pg_bench.destination, url=f"jdbc:postgresql://127.0.0.1:{proxy.port}{database}")
    return save_module(
        "orders",
        "SELECT k, v FROM s",
        source=save_connection(pg_bench.source),
        destination=save_connection(frozen, username="postgres"),
        merge_strategy="append",
        watermark_column="k",
        max_retries=0,
    )


def prove(proxy: Proxy) -> None:
    assert proxy.fired == 1, "the wire did not freeze"


@pytest.mark.serial
@pytest.mark.parametrize("moment", [TRANSFER, PUBLISH], ids=["transfer", "publish"])
def test_a_cancel_ends_a_run_whose_wire_is_frozen(
    pg_bench: Bench,
    orders: Module,
    proxy: Proxy,
    moment: tuple[bytes, bytes],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    if moment == TRANSFER:
        pg_bench.at_source(BIG)
    before = pg_bench.rows(TABLE)
    # reaches the run and its jrunner, which are found by it
    monkeypatch.setenv("PIPEKIT_FAULT_LOG", str(tmp_path / "points"))
    proxy.break_at(Fault.FREEZE, moment[0], after=moment[1])
    run = launch(orders, Request())
    wait_until(lambda: proxy.fired)
    prove(proxy)
    # it does not end by itself
    time.sleep(2)
    assert list(processes_of(tmp_path / "points"))
    monkeypatch.delenv("PIPEKIT_FAULT_LOG")
    began = time.monotonic()
    assert cancel.cancel(run) is CancelResult.REQUESTED
    wait_until(lambda: Run.objects.get(pk=run.pk).is_final)
    wait_until(lambda: not list(processes_of(tmp_path / "points")))
    # the frozen one too, which nobody has hung up on
    wait_until(lambda: not backends(pg_bench.source.url) and not backends(pg_bench.destination.url))
    assert time.monotonic() - began < 20
    run.refresh_from_db()
    assert (run.status, run.published_at) == ("cancelled", None)
    assert pg_bench.rows(TABLE) == before
    # the wire is whole again
    done = manage("runmodule", "orders", "--quiet")
    assert done.code == 0, done.err
    assert pg_bench.rows(TABLE) == pg_bench.rows(
        "SELECT 1, 'old' UNION ALL SELECT 2, 'new' UNION ALL"
        f" SELECT n, 'xxx' FROM generate_series(3, {20000 if moment == TRANSFER else 2}) n ORDER BY 1"
    )


@pytest.mark.serial
def test_a_cancel_ends_a_run_whose_server_stands_still(
    pg_bench: Bench, orders: Module, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = pg_bench.rows(TABLE)
    log = tmp_path / "points"
    stopper = Stopper(
        pg_bench.destination.url, PUBLISHING, whole=True, when=lambda: log.exists() and "sleep" in log.read_text()
    )
    monkeypatch.setenv("PIPEKIT_FAULT_LOG", str(log))
    monkeypatch.setenv("PIPEKIT_FAULTS", "publish.begun=sleep:1")
    with stopper.at_work():
        run = launch(orders, Request())
        wait_until(lambda: stopper.fired)
        time.sleep(2)
        monkeypatch.delenv("PIPEKIT_FAULT_LOG")
        monkeypatch.delenv("PIPEKIT_FAULTS")
        began = time.monotonic()
        assert cancel.cancel(run) is CancelResult.REQUESTED
        wait_until(lambda: Run.objects.get(pk=run.pk).is_final)
        wait_until(lambda: not list(processes_of(log)))
        assert time.monotonic() - began < 20
    run.refresh_from_db()
    assert (run.status, run.published_at) == ("cancelled", None)
    assert "not known" in (run.error or {})["message"]
    # it hears of the cancel when it goes on
    wait_until(lambda: not backends(pg_bench.destination.url))
    assert pg_bench.rows(TABLE) == before
    assert manage("runmodule", "orders", "--quiet").code == 0
    assert pg_bench.rows(TABLE) == [(1, "old"), (2, "new")]


@pytest.mark.serial
def test_a_run_whose_wire_freezes_gives_up_in_time_and_is_tried_again(
    pg_bench: Bench, orders: Module, proxy: Proxy
) -> None:
    pg_bench.at_source(BIG)
    change_settings(no_progress_timeout=3)
    Module.objects.filter(pk=orders.pk).update(max_retries=1, retry_delay=1)
    proxy.break_at(Fault.FREEZE, TRANSFER[0])
    run = launch(orders, Request())
    wait_until(lambda: Run.objects.get(pk=run.pk).is_final, seconds=90)
    prove(proxy)
    run.refresh_from_db()
    assert run.status == "success", run.error
    assert [attempt["code"] for attempt in run.attempts or []] == ["no_progress"]
    assert pg_bench.rows("SELECT count(*), count(DISTINCT k) FROM sync.orders") == [(20000, 20000)]


@pytest.mark.serial
@pytest.mark.parametrize("moment", [TRANSFER, PUBLISH], ids=["transfer", "publish"])
def test_without_a_freeze_there_is_no_proof(
    pg_bench: Bench, orders: Module, proxy: Proxy, moment: tuple[bytes, bytes]
) -> None:
    proxy.break_at(Fault.NONE, moment[0], after=moment[1])
    assert manage("runmodule", "orders", "--quiet").code == 0
    with pytest.raises(AssertionError, match="did not freeze"):
        prove(proxy)
    assert pg_bench.rows(TABLE) == [(1, "old"), (2, "new")]

"""Runs that create a destination table which earlier runs of the module have filled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import call_command

from connections.models import Connection
from connections.sdk.parameters import ConnectionParameters
from modules.models import Module
from runs.models import Run
from tests.harness.bench import Bench

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("transfer_in_process")]


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_run_into_a_file_that_is_gone_warns_that_earlier_rows_are_not_in_the_new_one(
    bench_to: Callable[[str], Bench],
    save_connection: Callable[[ConnectionParameters], Connection],
    tmp_path: Path,
    kind: str,
) -> None:
    bench = bench_to(kind)
    bench.at_source("CREATE TABLE s (k INTEGER, v TEXT)", "INSERT INTO s VALUES (1, 'one'), (2, 'two')")
    Module.objects.create(
        name="orders",
        source_connection=save_connection(bench.source),
        dest_connection=save_connection(bench.destination),
        dest_table="orders",
        source_query="SELECT k, v FROM s",
        merge_strategy="incremental",
        merge_key="k",
    )
    for _ in range(2):
        call_command("runmodule", "orders", quiet=True)
    assert [run.warnings for run in Run.objects.all()] == [[], []]
    file = tmp_path / f"warehouse.{kind}"
    file.rename(tmp_path / "renamed")
    bench.at_source("DELETE FROM s WHERE k = 1")
    call_command("runmodule", "orders", quiet=True)
    last, second, _ = Run.objects.newest_first()
    (warning,) = last.warnings
    assert f"in the file {file}, although run {second.pk} of this module has filled it" in warning
    assert "put the file back" in warning and "--full-refresh" in warning
    file.unlink()
    call_command("runmodule", "orders", full_refresh=True, quiet=True)
    (warning,) = Run.objects.newest_first()[0].warnings
    assert "with all rows that the source returns" in warning


def test_a_run_into_a_server_warns_of_a_table_that_was_dropped_unless_it_reads_all_rows(
    numbers: Bench, save_module: Callable[..., Module]
) -> None:
    module = save_module("orders", "SELECT k, v FROM s", merge_strategy="upsert", merge_key="k")
    for strategy in ("upsert", "upsert", "full"):
        Module.objects.filter(pk=module.pk).update(merge_strategy=strategy)
        call_command("runmodule", "orders", quiet=True)
        numbers.at_destination("DROP TABLE sync.orders")
    first, second, full = (run.warnings for run in Run.objects.order_by("pk"))
    assert (first, full) == ([], [])
    assert "There is no table sync.orders in the database, although run" in second[0]

"""Repairs by `verifymodule --repair`: which rows they read, change and delete, and their safety limits."""

from __future__ import annotations

import pytest

from modules.models import Module
from runs.lifecycle.insert import RunRequest, insert_run
from runs.models import Run
from runs.models.verification import Verification
from tests.acceptance.runs.test_verifymodule import orders as orders
from tests.acceptance.runs.test_verifymodule import spoil, verifymodule
from tests.factories import change_settings
from tests.harness.bench import Bench

pytestmark = pytest.mark.usefixtures("transfer_in_process")


def test_a_repair_reads_only_the_ranges_that_differ(orders: Bench) -> None:
    spoil(orders)
    result = verifymodule("orders", "--repair", "--json")
    assert (result.code, result.json["status"]) == (0, "different")
    assert result.json["repaired"] == {"pulled": 4, "inserted": 2, "updated": 2, "deleted": 2}
    run = Run.objects.get()
    assert run.trigger == f"verification:{Verification.objects.get().pk}"
    assert "WHERE (id >= 7 AND id < 10 OR" in run.source_query
    assert verifymodule("orders").code == 0


@pytest.mark.matrix
def test_a_repair_beyond_a_safety_limit_is_refused_unless_it_is_forced(orders: Bench) -> None:
    orders.at_destination("INSERT INTO sync.orders SELECT i, 'more' FROM generate_series(101, 130) i")
    refused = verifymodule("orders", "--repair", "--json")
    assert (refused.code, refused.json["status"], refused.json["error"]["code"]) == (5, "different", "safety_limit")
    assert orders.rows("SELECT count(*) FROM sync.orders") == [(130,)]
    forced = verifymodule("orders", "--repair", "--force", "--json")
    assert (forced.code, forced.json["repaired"]["deleted"]) == (0, 30)
    assert orders.rows("SELECT count(*) FROM sync.orders") == [(100,)]


@pytest.mark.matrix
def test_a_repair_of_a_module_with_a_text_key_reads_all_rows(orders: Bench) -> None:
    Module.objects.update(merge_key="name")
    spoil(orders)
    result = verifymodule("orders", "--repair", "--json")
    assert (result.code, result.json["repaired"]["pulled"]) == (0, 100)
    assert orders.rows("SELECT count(*), count(DISTINCT name) FROM sync.orders") == [(100, 100)]


@pytest.mark.matrix
def test_a_repair_deletes_no_rows_that_a_named_watermark_excludes(orders: Bench) -> None:
    Module.objects.update(source_query="SELECT id AS id, name AS name FROM s WHERE id > {since}")
    module = Module.objects.get()
    source = module.source_connection
    module.watermarks.create(name="since", connection=source, resolver_sql="SELECT 95", default_value="0")
    orders.at_destination("DELETE FROM sync.orders WHERE id = 98")
    result = verifymodule("orders", "--repair", "--json")
    assert (result.code, result.json["missing"], result.json["extra"]) == (0, 1, 0)
    assert result.json["repaired"]["deleted"] == 0
    assert orders.rows("SELECT count(*) FROM sync.orders") == [(100,)]


def spoil_all(bench: Bench) -> None:
    """Let the source have 2000 rows, and the destination the same keys with another name in each row."""
    bench.at_source(
        "INSERT INTO s WITH RECURSIVE n(i) AS (SELECT 101 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
        " SELECT i, 'name ' || i FROM n"
    )
    bench.at_destination(
        "DELETE FROM sync.orders", "INSERT INTO sync.orders SELECT i, '?' FROM generate_series(1, 2000) i"
    )


@pytest.mark.matrix
def test_a_repair_of_a_sample_updates_all_rows_that_differ_in_it(orders: Bench) -> None:
    # so that comparing all rows is not less work
    change_settings(verify_statements_per_second=1000)
    spoil_all(orders)
    result = verifymodule("orders", "--repair", "--sample", "100", "--json")
    assert 20 < result.json["different"] < 500
    assert (result.code, result.json["repaired"]["updated"]) == (0, result.json["different"])


@pytest.mark.matrix
def test_differences_are_stored_if_the_repair_cannot_start_because_the_module_is_running(orders: Bench) -> None:
    spoil(orders)
    module = Module.objects.with_connections().get()
    run = insert_run(module, RunRequest())
    result = verifymodule("orders", "--repair", "--json")
    assert (result.code, result.json["status"], result.json["missing"], result.json["extra"]) == (5, "different", 2, 2)
    assert (result.json["error"]["code"], result.json["error"]["detail"]) == ("already_running", str(run.pk))
    assert result.json["examples"]["missing"] == [7, 8]


@pytest.mark.matrix
def test_the_error_and_log_of_a_repair_do_not_mention_key_sync(orders: Bench) -> None:
    Module.objects.update(merge_strategy="full", key_sync=False)
    orders.at_destination("INSERT INTO sync.orders SELECT i, 'more' FROM generate_series(101, 130) i")
    error = verifymodule("orders", "--repair", "--json").json["error"]
    assert error["message"].startswith("The repair would delete 30 of the 130 rows")
    assert "key_sync" not in str(error)
    assert verifymodule("orders", "--repair", "--force").code == 0
    assert "the repair deleted 30 rows" in Run.objects.order_by("-pk")[0].log_file.read_text()


@pytest.mark.matrix
def test_the_error_of_a_repair_that_would_cascade_does_not_mention_key_sync(orders: Bench) -> None:
    Module.objects.update(merge_strategy="full", key_sync=False)
    orders.at_destination(
        "ALTER TABLE sync.orders ADD PRIMARY KEY (id)",
        "INSERT INTO sync.orders VALUES (101, 'gone')",
        "CREATE TABLE sync.lines (order_id integer REFERENCES sync.orders ON DELETE CASCADE)",
        "INSERT INTO sync.lines VALUES (101)",
    )
    error = verifymodule("orders", "--repair", "--json").json["error"]
    assert "The repair would delete 1 rows of sync.lines" in error["message"]
    assert "key_sync" not in str(error)


def _history(orders: Bench, **fields: object) -> None:
    """Turn `orders` into an append module: one key has a former and a current row, and another row is missing."""
    Module.objects.update(merge_strategy="append", **fields)
    orders.at_destination("INSERT INTO sync.orders VALUES (50, 'older')", "DELETE FROM sync.orders WHERE id = 7")


@pytest.mark.matrix
def test_a_repair_of_an_append_module_inserts_rows_and_deletes_none(orders: Bench) -> None:
    _history(orders, watermark_column="id")
    result = verifymodule("orders", "--repair", "--json")
    assert (result.json["missing"], result.json["extra"]) == (1, 1)
    assert result.json["repaired"] == {"pulled": 2, "inserted": 1, "updated": 0, "deleted": 0, "left": 1}
    assert orders.rows("SELECT name FROM sync.orders WHERE id = 50 ORDER BY name") == [("name 50",), ("older",)]
    assert orders.rows("SELECT count(*) FROM sync.orders WHERE id = 7") == [(1,)]


@pytest.mark.matrix
@pytest.mark.default_cases(1)
@pytest.mark.parametrize("extra", [0, 1])
def test_a_repair_deletes_no_rows_that_the_option_since_excludes(orders: Bench, extra: int) -> None:
    Module.objects.update(merge_key="name", watermark_column="id", merge_strategy="incremental")
    orders.at_destination("DELETE FROM sync.orders WHERE id = 70", "INSERT INTO sync.orders VALUES (-5, 'kept')")
    orders.at_destination(*["INSERT INTO sync.orders VALUES (101, 'new')"] * extra)
    result = verifymodule("orders", "--since", "50", "--repair", "--json")
    assert (result.json["missing"], result.json["extra"], result.json["repaired"].get("left", 0)) == (1, extra, extra)
    assert orders.rows("SELECT count(*) FROM sync.orders WHERE id = 70") == [(1,)]
    assert orders.rows("SELECT name FROM sync.orders WHERE id = -5") == [("kept",)]

"""Tests of the command `verifymodule` as scripts use it: differences, repairs, exit codes and stored verifications."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from modules.models import Module
from runs.lifecycle.insert import RunRequest, insert_run
from runs.models import Run
from runs.models.notification import Notification
from runs.models.verification import Verification, VerificationStatus
from runs.process import identity
from tests.factories import change_settings
from tests.harness.bench import Bench
from tests.processes.commands import CommandResult, call

pytestmark = pytest.mark.usefixtures("transfer_in_process")

QUERY = "SELECT id AS id, name AS name FROM s"
Save = Callable[..., Module]


def verifymodule(*arguments: str) -> CommandResult:
    return call("verifymodule", *arguments)


@pytest.fixture
def orders(bench: Bench, save_module: Save) -> Bench:
    """Save module `orders`, with 100 rows in `sync.orders`, which has no unique key."""
    bench.at_source(
        "CREATE TABLE s (id INTEGER, name TEXT)",
        "INSERT INTO s WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)"
        " SELECT i, 'name ' || i FROM n",
    )
    save_module("orders", QUERY, merge_strategy="upsert", merge_key="id", key_sync=True)
    bench.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.orders AS SELECT i AS id, 'name ' || i AS name FROM generate_series(1, 100) i",
    )
    return bench


def spoil(bench: Bench) -> None:
    """Change the destination: 2 rows are missing, 1 differs, 1 is extra, 1 is duplicated."""
    bench.at_destination(
        "DELETE FROM sync.orders WHERE id IN (7, 8)",
        "UPDATE sync.orders SET name = 'other' WHERE id = 50",
        "INSERT INTO sync.orders VALUES (1000, 'nobody knows'), (9, 'name 9')",
    )


def test_the_exit_code_is_0_if_the_tables_are_equal(orders: Bench) -> None:
    result = verifymodule("orders", "--json")
    assert result.code == 0
    assert {key: result.json[key] for key in ("module", "status", "source_rows", "dest_rows", "missing", "error")} == {
        "module": "orders",
        "status": "equal",
        "source_rows": 100,
        "dest_rows": 100,
        "missing": 0,
        "error": None,
    }


def test_the_exit_code_is_5_if_rows_differ_and_examples_are_shown_and_stored(orders: Bench) -> None:
    spoil(orders)
    result = verifymodule("orders", "--json")
    assert result.code == 5
    output = result.json
    assert (output["status"], output["missing"], output["extra"], output["different"]) == ("different", 2, 2, 1)
    assert output["examples"] == {
        "missing": [7, 8],
        "extra": [9, 1000],
        "different": [{"key": 50, "column": "name", "source": "name 50", "dest": "other"}],
    }
    assert output["repaired"] is None
    verification = Verification.objects.get()
    assert (verification.status, verification.missing, verification.examples) == ("different", 2, output["examples"])
    assert orders.rows("SELECT count(*) FROM sync.orders") == [(100,)]


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


def test_a_module_without_a_key_is_compared_but_not_repaired(orders: Bench) -> None:
    Module.objects.update(merge_key="", merge_strategy="full", key_sync=False)
    spoil(orders)
    result = verifymodule("orders", "--repair", "--json")
    assert (result.code, result.json["status"]) == (5, "different")
    # without a key, a row that differs counts as one missing and one extra row
    assert (result.json["missing"], result.json["extra"]) == (3, 3)
    assert "runmodule orders --full-refresh" in result.json["error"]["hint"]


def test_before_the_first_run_the_missing_table_is_an_error(orders: Bench) -> None:
    orders.at_destination("DROP TABLE sync.orders")
    result = verifymodule("orders", "--json")
    assert (result.code, result.json["error"]["code"]) == (1, "table_missing")
    assert "runmodule orders" in result.err


def test_an_unknown_module_exits_with_3_and_a_similar_name_is_suggested(orders: Bench) -> None:
    result = verifymodule("order", "--json")
    assert (result.code, result.json["error"]["code"]) == (3, "not_found")
    assert "“orders”" in result.err


def test_a_module_that_is_already_being_verified_exits_with_4(orders: Bench) -> None:
    module = Module.objects.get()
    running = Verification.objects.create(module=module, module_name="orders")
    result = verifymodule("orders", "--json")
    assert (result.code, result.json["error"]["code"]) == (4, "already_running")
    assert f"verification {running.pk}" in result.err


@pytest.mark.matrix
def test_there_is_a_notification_of_differences_and_one_of_their_end(orders: Bench) -> None:
    change_settings(notification_addresses=["etl@example.com"])
    spoil(orders)
    verifymodule("orders")
    verifymodule("orders", "--repair")
    verifymodule("orders")
    verifymodule("orders")
    kinds = list(Notification.objects.order_by("pk").values_list("kind", flat=True))
    assert kinds == ["different", "different", "equal"]


@pytest.mark.matrix
def test_the_text_output_shows_counts_and_examples(orders: Bench) -> None:
    spoil(orders)
    result = verifymodule("orders", "--quiet")
    assert "2 missing, 2 extra, 1 different" in result.out
    assert "missing: 7, 8" in result.out
    assert "50 name: 'name 50' at the source, 'other' in the destination" in result.out


def test_a_verification_whose_process_is_dead_does_not_block_the_next(orders: Bench) -> None:
    module = Module.objects.get()
    dead = Verification.objects.create(
        module=module, module_name="orders", status=VerificationStatus.RUNNING, pid=2**22 - 1, process_started=1
    )
    Verification.objects.filter(pk=dead.pk).update(
        machine_id=identity.current().machine, boot_id=identity.current().boot
    )
    assert verifymodule("orders").code == 0
    dead.refresh_from_db()
    assert dead.error is not None
    assert (dead.status, dead.error["code"]) == ("error", "lost")


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


def test_examples_of_long_values_are_cut_to_the_part_that_differs(orders: Bench) -> None:
    orders.at_source("UPDATE s SET name = printf('%.*c', 100000, 'x') || 'here' WHERE id = 3")
    orders.at_destination("UPDATE sync.orders SET name = repeat('x', 100000) || 'there' WHERE id = 3")
    (value,) = verifymodule("orders", "--json").json["examples"]["different"]
    assert (value["key"], value["column"]) == (3, "name")
    assert value["source"] == f"…{'x' * 50}here (100,004 characters)"
    assert value["dest"] == f"…{'x' * 50}there (100,005 characters)"


@pytest.mark.matrix
def test_examples_of_long_keys_are_cut(orders: Bench) -> None:
    Module.objects.update(merge_key="name")
    orders.at_source("INSERT INTO s VALUES (101, printf('%.*c', 100000, 'k'))")
    (key,) = verifymodule("orders", "--json").json["examples"]["missing"]
    assert key == f"{'k' * 200}… (100,000 characters)"


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

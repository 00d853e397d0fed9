"""`verifymodule` as a script sees it: what differs, what a repair does about it, exit codes, what is kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from modules.models import Module
from runs.lifecycle import claim
from runs.models import Run, Setting
from runs.models.notification import Notification
from runs.models.verification import Verification, VerificationStatus
from runs.process import identity
from tests.benches.bench import Bench
from tests.processes.commands import Done, called

pytestmark = pytest.mark.usefixtures("transfer_in_process")

QUERY = "SELECT id AS id, name AS name FROM s"
Save = Callable[..., Module]


def verifymodule(*arguments: str) -> Done:
    return called("verifymodule", *arguments)


@pytest.fixture
def orders(bench: Bench, save_module: Save) -> Bench:
    """100 rows, synced into `sync.orders` without a unique key."""
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
    bench.at_destination(
        "DELETE FROM sync.orders WHERE id IN (7, 8)",
        "UPDATE sync.orders SET name = 'other' WHERE id = 50",
        "INSERT INTO sync.orders VALUES (1000, 'nobody knows'), (9, 'name 9')",
    )


def test_equal_tables_end_with_0(orders: Bench) -> None:
    done = verifymodule("orders", "--json")
    assert done.code == 0
    assert {key: done.json[key] for key in ("module", "status", "source_rows", "dest_rows", "missing", "error")} == {
        "module": "orders",
        "status": "equal",
        "source_rows": 100,
        "dest_rows": 100,
        "missing": 0,
        "error": None,
    }


def test_differences_end_with_5_and_are_named_and_kept(orders: Bench) -> None:
    spoil(orders)
    done = verifymodule("orders", "--json")
    assert done.code == 5
    found = done.json
    assert (found["status"], found["missing"], found["extra"], found["different"]) == ("different", 2, 2, 1)
    assert found["examples"] == {
        "missing": [7, 8],
        "extra": [9, 1000],
        "different": [{"key": 50, "column": "name", "source": "name 50", "dest": "other"}],
    }
    assert found["repaired"] is None
    kept = Verification.objects.get()
    assert (kept.status, kept.missing, kept.examples) == ("different", 2, found["examples"])
    assert orders.rows("SELECT count(*) FROM sync.orders") == [(100,)]


def test_repair_pulls_only_what_differs_and_makes_it_equal(orders: Bench) -> None:
    spoil(orders)
    done = verifymodule("orders", "--repair", "--json")
    assert (done.code, done.json["status"]) == (0, "different")
    assert done.json["repaired"] == {"pulled": 4, "inserted": 2, "updated": 2, "deleted": 2}
    run = Run.objects.get()
    assert run.trigger == f"verification:{Verification.objects.get().pk}"
    assert "WHERE (id >= 7 AND id < 10 OR" in run.source_query
    assert verifymodule("orders").code == 0


@pytest.mark.matrix
def test_repair_beyond_the_limit_is_refused_unless_forced(orders: Bench) -> None:
    orders.at_destination("INSERT INTO sync.orders SELECT i, 'more' FROM generate_series(101, 130) i")
    refused = verifymodule("orders", "--repair", "--json")
    assert (refused.code, refused.json["status"], refused.json["error"]["code"]) == (5, "different", "safety_limit")
    assert orders.rows("SELECT count(*) FROM sync.orders") == [(130,)]
    forced = verifymodule("orders", "--repair", "--force", "--json")
    assert (forced.code, forced.json["repaired"]["deleted"]) == (0, 30)
    assert orders.rows("SELECT count(*) FROM sync.orders") == [(100,)]


@pytest.mark.matrix
def test_repair_by_a_key_of_text_reads_everything_again(orders: Bench) -> None:
    Module.objects.update(merge_key="name")
    spoil(orders)
    done = verifymodule("orders", "--repair", "--json")
    assert (done.code, done.json["repaired"]["pulled"]) == (0, 100)
    assert orders.rows("SELECT count(*), count(DISTINCT name) FROM sync.orders") == [(100, 100)]


def test_a_module_without_a_key_is_compared_but_not_repaired(orders: Bench) -> None:
    Module.objects.update(merge_key="", merge_strategy="full", key_sync=False)
    spoil(orders)
    done = verifymodule("orders", "--repair", "--json")
    assert (done.code, done.json["status"]) == (5, "different")
    # by whole rows, a row with another value is one missing and one extra
    assert (done.json["missing"], done.json["extra"]) == (3, 3)
    assert "runmodule orders --full-refresh" in done.json["error"]["hint"]


def test_before_the_first_run_it_says_so(orders: Bench) -> None:
    orders.at_destination("DROP TABLE sync.orders")
    done = verifymodule("orders", "--json")
    assert (done.code, done.json["error"]["code"]) == (1, "table_missing")
    assert "runmodule orders" in done.err


def test_an_unknown_module_is_named_with_the_likeliest(orders: Bench) -> None:
    done = verifymodule("order", "--json")
    assert (done.code, done.json["error"]["code"]) == (3, "not_found")
    assert "“orders”" in done.err


def test_one_that_is_being_verified_is_not_verified_twice(orders: Bench) -> None:
    module = Module.objects.get()
    other = Verification.objects.create(module=module, module_name="orders")
    done = verifymodule("orders", "--json")
    assert (done.code, done.json["error"]["code"]) == (4, "already_running")
    assert f"verification {other.pk}" in done.err


@pytest.mark.matrix
def test_a_difference_notifies_and_so_does_its_end(orders: Bench) -> None:
    Setting.objects.create(key="notification_addresses", value=["etl@example.com"])
    spoil(orders)
    verifymodule("orders")
    verifymodule("orders", "--repair")
    verifymodule("orders")
    verifymodule("orders")
    kinds = list(Notification.objects.order_by("pk").values_list("kind", flat=True))
    assert kinds == ["different", "different", "equal"]


@pytest.mark.matrix
def test_a_summary_for_people_names_the_rows(orders: Bench) -> None:
    spoil(orders)
    done = verifymodule("orders", "--quiet")
    assert "2 missing, 2 extra, 1 different" in done.out
    assert "missing: 7, 8" in done.out
    assert "50 name: 'name 50' at the source, 'other' in the destination" in done.out


def test_a_dead_verification_blocks_nobody(orders: Bench) -> None:
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


def test_a_repair_deletes_nothing_that_a_named_watermark_leaves_out(orders: Bench) -> None:
    Module.objects.update(source_query="SELECT id AS id, name AS name FROM s WHERE id > {since}")
    module = Module.objects.get()
    source = module.source_connection
    module.watermarks.create(name="since", connection=source, resolver_sql="SELECT 95", default_value="0")
    orders.at_destination("DELETE FROM sync.orders WHERE id = 98")
    done = verifymodule("orders", "--repair", "--json")
    assert (done.code, done.json["missing"], done.json["extra"]) == (0, 1, 0)
    assert done.json["repaired"]["deleted"] == 0
    assert orders.rows("SELECT count(*) FROM sync.orders") == [(100,)]


def spoil_all(bench: Bench) -> None:
    bench.at_source(
        "INSERT INTO s WITH RECURSIVE n(i) AS (SELECT 101 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
        " SELECT i, 'name ' || i FROM n"
    )
    bench.at_destination(
        "DELETE FROM sync.orders", "INSERT INTO sync.orders SELECT i, '?' FROM generate_series(1, 2000) i"
    )


@pytest.mark.matrix
def test_what_was_sampled_is_compared_again_after_its_repair(orders: Bench) -> None:
    # so that all rows are not less work
    Setting.objects.create(key="verify_statements_per_second", value=1000)
    spoil_all(orders)
    done = verifymodule("orders", "--repair", "--sample", "100", "--json")
    assert 20 < done.json["different"] < 500
    assert (done.code, done.json["repaired"]["updated"]) == (0, done.json["different"])


def test_of_long_values_the_examples_keep_the_part_that_differs(orders: Bench) -> None:
    orders.at_source("UPDATE s SET name = printf('%.*c', 100000, 'x') || 'here' WHERE id = 3")
    orders.at_destination("UPDATE sync.orders SET name = repeat('x', 100000) || 'there' WHERE id = 3")
    (value,) = verifymodule("orders", "--json").json["examples"]["different"]
    assert (value["key"], value["column"]) == (3, "name")
    assert value["source"] == f"…{'x' * 50}here (100,004 characters)"
    assert value["dest"] == f"…{'x' * 50}there (100,005 characters)"


@pytest.mark.matrix
def test_a_key_of_unbounded_length_is_cut_as_well(orders: Bench) -> None:
    Module.objects.update(merge_key="name")
    orders.at_source("INSERT INTO s VALUES (101, printf('%.*c', 100000, 'k'))")
    (key,) = verifymodule("orders", "--json").json["examples"]["missing"]
    assert key == f"{'k' * 200}… (100,000 characters)"


@pytest.mark.matrix
def test_what_was_found_is_kept_when_the_module_is_busy(orders: Bench) -> None:
    spoil(orders)
    module = Module.objects.with_connections().get()
    run = claim.claim(module, claim.Request())
    done = verifymodule("orders", "--repair", "--json")
    assert (done.code, done.json["status"], done.json["missing"], done.json["extra"]) == (5, "different", 2, 2)
    assert (done.json["error"]["code"], done.json["error"]["detail"]) == ("already_running", str(run.pk))
    assert done.json["examples"]["missing"] == [7, 8]


@pytest.mark.matrix
def test_a_repair_is_not_called_key_sync(orders: Bench) -> None:
    Module.objects.update(merge_strategy="full", key_sync=False)
    orders.at_destination("INSERT INTO sync.orders SELECT i, 'more' FROM generate_series(101, 130) i")
    error = verifymodule("orders", "--repair", "--json").json["error"]
    assert error["message"].startswith("The repair would delete 30 of the 130 rows")
    assert "key_sync" not in str(error)
    assert verifymodule("orders", "--repair", "--force").code == 0
    assert "the repair deleted 30 rows" in Run.objects.order_by("-pk")[0].log_file.read_text()


@pytest.mark.matrix
def test_a_repair_that_would_cascade_is_not_called_key_sync(orders: Bench) -> None:
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
    """An append module of whose destination one key has two rows, as a changed row leaves them, and one row is lost."""
    Module.objects.update(merge_strategy="append", **fields)
    orders.at_destination("INSERT INTO sync.orders VALUES (50, 'older')", "DELETE FROM sync.orders WHERE id = 7")


def test_repair_of_an_append_module_adds_rows_and_takes_none_away(orders: Bench) -> None:
    _history(orders, watermark_column="id")
    done = verifymodule("orders", "--repair", "--json")
    assert (done.json["missing"], done.json["extra"]) == (1, 1)
    assert done.json["repaired"] == {"pulled": 2, "inserted": 1, "updated": 0, "deleted": 0, "left": 1}
    assert orders.rows("SELECT name FROM sync.orders WHERE id = 50 ORDER BY name") == [("name 50",), ("older",)]
    assert orders.rows("SELECT count(*) FROM sync.orders WHERE id = 7") == [(1,)]


@pytest.mark.parametrize("extra", [0, 1])
def test_a_repair_deletes_nothing_that_since_left_out(orders: Bench, extra: int) -> None:
    Module.objects.update(merge_key="name", watermark_column="id", merge_strategy="incremental")
    orders.at_destination("DELETE FROM sync.orders WHERE id = 70", "INSERT INTO sync.orders VALUES (-5, 'kept')")
    orders.at_destination(*["INSERT INTO sync.orders VALUES (101, 'new')"] * extra)
    done = verifymodule("orders", "--since", "50", "--repair", "--json")
    assert (done.json["missing"], done.json["extra"], done.json["repaired"].get("left", 0)) == (1, extra, extra)
    assert orders.rows("SELECT count(*) FROM sync.orders WHERE id = 70") == [(1,)]
    assert orders.rows("SELECT name FROM sync.orders WHERE id = -5") == [("kept",)]

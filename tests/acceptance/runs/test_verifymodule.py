"""Tests of the command `verifymodule` as scripts use it: differences, exit codes and stored verifications."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from modules.models import Module
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

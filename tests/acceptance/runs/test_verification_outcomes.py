"""How a verification ended and what it compared: text, JSON, log, page, list and notification say the same."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from modules.models import Module
from runs.models import Run, Verification
from runs.models.notification import Notification
from runs.verifications import report
from tests.acceptance.runs.test_verifymodule import orders as orders
from tests.acceptance.runs.test_verifymodule import spoil, spoil_all, verifymodule
from tests.benches.bench import Bench
from tests.factories import change_settings

# 100 rows synced into sync.orders, by SQLite and PostgreSQL
pytestmark = pytest.mark.usefixtures("transfer_in_process", "orders")


def pages(client: Client) -> tuple[str, str]:
    """Return the page of the last verification, and the list."""
    row = Verification.objects.latest("pk")
    addresses = (
        reverse("admin:runs_verification_change", args=[row.pk]),
        reverse("admin:runs_verification_changelist"),
    )
    page, listed = (client.get(address).content.decode() for address in addresses)
    return page, listed


def test_a_repair_that_puts_all_right_is_called_repaired_everywhere(bench: Bench, admin_client: Client) -> None:
    change_settings(notification_addresses=["etl@example.com"])
    spoil(bench)
    done = verifymodule("orders", "--repair", "--quiet")
    run = Run.objects.get()
    assert done.code == 0
    assert done.out.startswith("orders: repaired in ")
    assert "found before the repair: 2 missing, 2 extra, 1 different" in done.out
    repair = "5 rows differed; 4 read again, 2 inserted, 2 rewritten, 2 deleted; compared again, no row differs"
    assert f"repair by run {run.pk}: {repair}" in done.out
    assert "--repair" not in done.out
    page, listed = pages(admin_client)
    assert "Repaired" in page and repair in page
    assert "Repaired" in listed
    about = Notification.objects.get().about
    assert (about["outcome"], about["repaired"]) == ("repaired", True)
    assert "every row and column: 100 rows at the source, 100 in the destination" in about["compared"]
    assert done.out.strip().splitlines()[-1].strip() in Verification.objects.get().log_file.read_text()


@pytest.mark.matrix
def test_json_keeps_the_status_and_adds_the_outcome(bench: Bench) -> None:
    spoil(bench)
    found = verifymodule("orders", "--repair", "--json").json
    assert (found["status"], found["outcome"]) == ("different", "repaired")
    assert found["repaired"] == {"pulled": 4, "inserted": 2, "updated": 2, "deleted": 2}
    everything = {"everything": True, "columns": None, "since": None, "since_column": None, "sample": None}
    assert found["scope"] == everything


def test_a_repair_that_a_limit_refuses_says_so_and_names_the_whole_command(bench: Bench, admin_client: Client) -> None:
    bench.at_destination("INSERT INTO sync.orders SELECT i, 'more' FROM generate_series(101, 130) i")
    done = verifymodule("orders", "--repair", "--columns", "name", "--quiet")
    command = "manage.py verifymodule orders --repair --force --columns name"
    # the spec promises 5 for rows that differ
    assert done.code == 5
    assert done.out.startswith("orders: different, repair refused in ")
    assert "repair by run" in done.out and "refused by a safety limit" in done.out
    assert "none was deleted. Nothing was changed." in done.err
    assert "read before" not in done.err
    assert command in done.err
    assert "extra: 101, 102, 103, 104, 105, 106, 107, 108, 109, 110 and 20 more" in done.out
    page, listed = pages(admin_client)
    assert command in page
    assert "repair refused" in page and "and 20 more" in page
    assert "30 extra" in listed and "would delete 30 of the 130 rows" in listed
    log = Verification.objects.get().log_file.read_text()
    assert "repair refused: The repair would delete 30 of the 130 rows" in log and command in log


@pytest.mark.matrix
def test_a_refused_repair_says_how_many_rows_it_wrote_before(bench: Bench) -> None:
    bench.at_destination(
        "INSERT INTO sync.orders SELECT i, 'more' FROM generate_series(101, 130) i",
        "UPDATE sync.orders SET name = 'other' WHERE id = 50",
    )
    done = verifymodule("orders", "--repair", "--json")
    assert done.json["outcome"] == "repair_refused"
    assert "none was deleted. The 1 row read before is published." in done.json["error"]["message"]
    assert "max_delete_share allows 10%" in done.json["error"]["message"]
    assert done.json["repaired"] == {"pulled": 1, "inserted": 0, "updated": 1, "deleted": 0, "finished": False}
    text = report.summary(Verification.objects.get())
    assert "found before the repair: 0 missing" in text
    assert "1 rewritten, 0 deleted; then refused by a safety limit, and not compared again" in text


def test_a_repair_that_would_change_nothing_is_not_advised(bench: Bench, admin_client: Client) -> None:
    Module.objects.update(key_sync=False)
    bench.at_destination("INSERT INTO sync.orders VALUES (500, 'extra')")
    done = verifymodule("orders")
    assert done.code == 5
    assert "to repair it" not in done.out
    assert "delete nothing that the source no longer has, so extra rows are kept. Turn key_sync on" in done.out
    page, _ = pages(admin_client)
    assert 'value="repair"' not in page


@pytest.mark.matrix
def test_a_repair_that_leaves_rows_is_called_partly_repaired(bench: Bench) -> None:
    spoil(bench)
    Module.objects.update(key_sync=False)
    done = verifymodule("orders", "--repair")
    assert done.code == 5
    assert done.out.startswith("orders: partly repaired in ")
    assert "compared again, 2 still differ" in done.out
    assert "After the repair 0 rows are missing, 2 extra, 0 different." in done.out


@pytest.mark.matrix
def test_a_difference_names_the_command_that_repairs_it(bench: Bench, admin_client: Client) -> None:
    spoil(bench)
    done = verifymodule("orders", "--since", "1", "--columns", "name")
    assert (done.code, done.json if done.out.startswith("{") else None) == (1, None)
    assert done.err.count("has no watermark column") == 1
    found = verifymodule("orders", "--columns", "name")
    assert "to repair it: manage.py verifymodule orders --repair --columns name" in found.out
    assert "only the key and name: 100 rows at the source, 100 in the destination" in found.out
    _, listed = pages(admin_client)
    assert "only the key and name" in listed


def test_nothing_compared_is_not_called_equal(bench: Bench, admin_client: Client) -> None:
    Module.objects.update(watermark_column="id")
    done = verifymodule("orders", "--since", "5000")
    assert done.code == 0
    assert done.out.startswith("orders: no rows compared in ")
    assert "rows since id 5000: 0 rows at the source, 0 in the destination" in done.out
    assert "warning: No row was compared: neither side has any of the selected rows." in done.out
    page, listed = pages(admin_client)
    assert "No rows compared" in page and "No rows compared" in listed
    assert "rows since id 5000" in page and "rows since id 5000" in listed
    found = verifymodule("orders", "--since", "50", "--json").json
    assert (found["status"], found["outcome"], found["source_rows"], found["dest_rows"]) == ("equal", "equal", 51, 51)
    assert (found["scope"]["since"], found["scope"]["since_column"]) == ("50", "id")
    assert found["scope"]["everything"] is False


@pytest.mark.matrix
def test_a_sample_that_is_more_work_than_all_rows_compares_all_and_says_so(bench: Bench) -> None:
    spoil_all(bench)
    done = verifymodule("orders", "--sample", "100")
    assert "every row and column; no more work than a sample of 100 rows: 2,000 rows at the source" in done.out
    assert "0 missing, 0 extra, 2,000 different" in done.out
    assert "different: and 1,990 rows more" in done.out
    scope = verifymodule("orders", "--sample", "100", "--json").json["scope"]
    assert (scope["everything"], scope["sample"]) == (True, None)


@pytest.mark.matrix
def test_a_sample_is_named_where_one_was_taken(bench: Bench) -> None:
    change_settings(verify_statements_per_second=1000)
    spoil_all(bench)
    done = verifymodule("orders", "--sample", "100")
    assert "compared: a sample of about 100 rows; " not in done.out
    assert "compared: a sample of about 100 rows: " in done.out


def test_a_failure_is_printed_once_and_kept_in_the_log(bench: Bench, admin_client: Client) -> None:
    bench.at_destination("DROP TABLE sync.orders")
    done = verifymodule("orders")
    assert done.out.strip() == f"orders: not verified (verification {Verification.objects.get().pk})"
    assert done.err.count("There is no table sync.orders") == 1
    assert "failed: There is no table sync.orders" in Verification.objects.get().log_file.read_text()
    page, _ = pages(admin_client)
    assert "There is no log" not in page
    assert "comparing every row and column" in page


def test_a_verification_that_goes_on_names_how_it_is_stopped_and_is() -> None:
    waiting = Verification.objects.create(module=Module.objects.get(), module_name="orders")
    busy = verifymodule("orders")
    assert busy.code == 4
    assert "manage.py verifymodule orders --cancel" in busy.err
    stopped = verifymodule("orders", "--cancel")
    assert (stopped.code, stopped.out.strip()) == (0, f"verification {waiting.pk}: cancelled")
    waiting.refresh_from_db()
    assert (waiting.error or {})["code"] == "cancelled"
    again = verifymodule("orders", "--cancel")
    assert again.code == 3
    assert verifymodule("orders", "--cancel", "--json").json["error"]["code"] == "not_found"
    assert "orders is not being verified" in again.err

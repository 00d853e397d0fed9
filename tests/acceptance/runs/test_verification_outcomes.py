"""Tests of the outcome and scope of verifications in text, JSON, log, admin and notifications, which must agree."""

from __future__ import annotations

import pytest
from django.db import OperationalError
from django.test import Client
from django.urls import reverse

from modules.models import Module
from runs.models import Run, Setting, Verification
from runs.models.notification import Notification
from runs.verifications import execute
from runs.verifications.report import verification_summary
from tests.acceptance.runs.test_verifymodule import orders as orders
from tests.acceptance.runs.test_verifymodule import spoil, verifymodule
from tests.acceptance.runs.test_verifymodule_repair import spoil_all
from tests.factories import change_settings
from tests.harness.bench import Bench

# 100 rows synced into sync.orders, by SQLite and PostgreSQL
pytestmark = pytest.mark.usefixtures("transfer_in_process", "orders")


def pages(client: Client) -> tuple[str, str]:
    """Return the page of the latest verification, and the list of verifications."""
    row = Verification.objects.latest("pk")
    addresses = (
        reverse("admin:runs_verification_change", args=[row.pk]),
        reverse("admin:runs_verification_changelist"),
    )
    page, changelist = (client.get(address).content.decode() for address in addresses)
    return page, changelist


@pytest.mark.matrix
def test_a_complete_repair_is_called_repaired_in_every_output(bench: Bench, admin_client: Client) -> None:
    change_settings(notification_addresses=["etl@example.com"])
    spoil(bench)
    result = verifymodule("orders", "--repair", "--quiet")
    run = Run.objects.get()
    assert result.code == 0
    assert result.out.startswith("orders: repaired in ")
    assert "found before the repair: 2 missing, 2 extra, 1 different" in result.out
    repair = "5 rows differed; 4 read again, 2 inserted, 2 rewritten, 2 deleted; compared again, no row differs"
    assert f"repair by run {run.pk}: {repair}" in result.out
    assert "--repair" not in result.out
    page, changelist = pages(admin_client)
    assert "Repaired" in page and repair in page
    assert "Repaired" in changelist
    about = Notification.objects.get().about
    assert (about["outcome"], about["repaired"]) == ("repaired", True)
    assert "every row and column: 100 rows at the source, 100 in the destination" in about["compared"]
    assert result.out.strip().splitlines()[-1].strip() in Verification.objects.get().log_file.read_text()


@pytest.mark.matrix
def test_the_json_of_a_repair_has_status_outcome_counts_and_scope(bench: Bench) -> None:
    spoil(bench)
    verification = verifymodule("orders", "--repair", "--json").json
    assert (verification["status"], verification["outcome"]) == ("different", "repaired")
    assert verification["repaired"] == {"pulled": 4, "inserted": 2, "updated": 2, "deleted": 2}
    everything = {"everything": True, "columns": None, "since": None, "since_column": None, "sample": None}
    assert verification["scope"] == everything


@pytest.mark.matrix
def test_a_repair_that_a_safety_limit_refuses_names_the_command_that_forces_it(
    bench: Bench, admin_client: Client
) -> None:
    bench.at_destination("INSERT INTO sync.orders SELECT i, 'more' FROM generate_series(101, 130) i")
    result = verifymodule("orders", "--repair", "--columns", "name", "--quiet")
    command = "manage.py verifymodule orders --repair --force --columns name"
    # the documented exit code for rows that differ
    assert result.code == 5
    assert result.out.startswith("orders: different, repair refused in ")
    assert "repair by run" in result.out and "refused by a safety limit" in result.out
    assert "none was deleted. Nothing was changed." in result.err
    assert "read before" not in result.err
    assert command in result.err
    assert "extra: 101, 102, 103, 104, 105, 106, 107, 108, 109, 110 and 20 more" in result.out
    page, changelist = pages(admin_client)
    assert command in page
    assert "repair refused" in page and "and 20 more" in page
    assert "30 extra" in changelist and "would delete 30 of the 130 rows" in changelist
    log = Verification.objects.get().log_file.read_text()
    assert "repair refused: The repair would delete 30 of the 130 rows" in log and command in log


@pytest.mark.matrix
def test_a_refused_repair_shows_how_many_rows_it_has_written_before(bench: Bench) -> None:
    bench.at_destination(
        "INSERT INTO sync.orders SELECT i, 'more' FROM generate_series(101, 130) i",
        "UPDATE sync.orders SET name = 'other' WHERE id = 50",
    )
    result = verifymodule("orders", "--repair", "--json")
    assert result.json["outcome"] == "repair_refused"
    assert "none was deleted. The 1 row read before is published." in result.json["error"]["message"]
    assert "max_delete_share allows 10%" in result.json["error"]["message"]
    assert result.json["repaired"] == {"pulled": 1, "inserted": 0, "updated": 1, "deleted": 0, "finished": False}
    text = verification_summary(Verification.objects.get())
    assert "found before the repair: 0 missing" in text
    assert "1 rewritten, 0 deleted; then refused by a safety limit, and not compared again" in text


@pytest.mark.matrix
def test_a_repair_that_would_change_nothing_is_not_suggested(bench: Bench, admin_client: Client) -> None:
    Module.objects.update(key_sync=False)
    bench.at_destination("INSERT INTO sync.orders VALUES (500, 'extra')")
    result = verifymodule("orders")
    assert result.code == 5
    assert "to repair it" not in result.out
    assert "delete nothing that the source no longer has, so extra rows are kept. Turn key_sync on" in result.out
    page, _ = pages(admin_client)
    assert 'value="repair"' not in page


@pytest.mark.matrix
def test_a_repair_that_leaves_differences_is_called_partly_repaired(bench: Bench) -> None:
    spoil(bench)
    Module.objects.update(key_sync=False)
    result = verifymodule("orders", "--repair")
    assert result.code == 5
    assert result.out.startswith("orders: partly repaired in ")
    assert "compared again, 2 still differ" in result.out
    assert "After the repair 0 rows are missing, 2 extra, 0 different." in result.out


@pytest.mark.matrix
def test_the_output_about_differences_names_the_command_that_repairs_them(bench: Bench, admin_client: Client) -> None:
    spoil(bench)
    result = verifymodule("orders", "--since", "1", "--columns", "name")
    assert (result.code, result.json if result.out.startswith("{") else None) == (2, None)
    assert result.err.count("has no watermark column") == 1
    result = verifymodule("orders", "--columns", "name")
    assert "to repair it: manage.py verifymodule orders --repair --columns name" in result.out
    assert "only the key and name: 100 rows at the source, 100 in the destination" in result.out
    _, changelist = pages(admin_client)
    assert "only the key and name" in changelist


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (("--columns", "name,nothere"), "The query returns no column “nothere”.", "column_missing"),
        (("--since", "1"), "has no watermark column", "configuration_invalid"),
        (("--since", "yesterday"), "--since yesterday: ", "configuration_invalid"),
    ],
)
def test_options_that_do_not_fit_the_module_are_refused_before_a_verification_is_created(
    bench: Bench, arguments: tuple[str, ...], message: str, code: str
) -> None:
    Module.objects.update(watermark_column="id" if "yesterday" in arguments else "")
    result = verifymodule("orders", *arguments, "--json")
    assert (result.code, result.json["verification"], result.json["error"]["code"]) == (2, None, code)
    assert message in result.json["error"]["message"]
    assert not Verification.objects.exists()


def test_a_verification_that_has_compared_no_rows_is_not_called_equal(bench: Bench, admin_client: Client) -> None:
    Module.objects.update(watermark_column="id")
    result = verifymodule("orders", "--since", "5000")
    assert result.code == 0
    assert result.out.startswith("orders: no rows compared in ")
    assert "rows since id 5000: 0 rows at the source, 0 in the destination" in result.out
    assert "warning: No row was compared: neither side has any of the selected rows." in result.out
    page, changelist = pages(admin_client)
    assert "No rows compared" in page and "No rows compared" in changelist
    assert "rows since id 5000" in page and "rows since id 5000" in changelist
    verification = verifymodule("orders", "--since", "50", "--json").json
    assert (verification["status"], verification["outcome"]) == ("equal", "equal")
    assert (verification["source_rows"], verification["dest_rows"]) == (51, 51)
    assert (verification["scope"]["since"], verification["scope"]["since_column"]) == ("50", "id")
    assert verification["scope"]["everything"] is False


@pytest.mark.matrix
def test_all_rows_are_compared_if_a_sample_is_more_work(bench: Bench) -> None:
    spoil_all(bench)
    result = verifymodule("orders", "--sample", "100")
    assert "every row and column; no more work than a sample of 100 rows: 2,000 rows at the source" in result.out
    assert "0 missing, 0 extra, 2,000 different" in result.out
    assert "different: and 1,990 rows more" in result.out
    scope = verifymodule("orders", "--sample", "100", "--json").json["scope"]
    assert (scope["everything"], scope["sample"]) == (True, None)


@pytest.mark.matrix
def test_a_sample_is_named_in_the_scope(bench: Bench) -> None:
    change_settings(verify_statements_per_second=1000)
    spoil_all(bench)
    result = verifymodule("orders", "--sample", "100")
    assert "compared: a sample of about 100 rows; " not in result.out
    assert "compared: a sample of about 100 rows: " in result.out


def test_an_error_is_printed_once_and_logged(bench: Bench, admin_client: Client) -> None:
    bench.at_destination("DROP TABLE sync.orders")
    result = verifymodule("orders")
    assert result.out.strip() == f"orders: not verified (verification {Verification.objects.get().pk})"
    assert result.err.count("There is no table sync.orders") == 1
    assert "failed: There is no table sync.orders" in Verification.objects.get().log_file.read_text()
    page, _ = pages(admin_client)
    assert "There is no log" not in page
    assert "comparing every row and column" in page


def test_a_running_verification_can_be_cancelled_with_the_command_that_the_error_names() -> None:
    verification = Verification.objects.create(module=Module.objects.get(), module_name="orders")
    refused = verifymodule("orders")
    assert refused.code == 4
    assert "manage.py verifymodule orders --cancel" in refused.err
    cancelled = verifymodule("orders", "--cancel")
    assert (cancelled.code, cancelled.out.strip()) == (0, f"verification {verification.pk}: cancelled")
    verification.refresh_from_db()
    assert (verification.error or {})["code"] == "cancelled"
    cancelled_again = verifymodule("orders", "--cancel")
    assert cancelled_again.code == 3
    assert verifymodule("orders", "--cancel", "--json").json["error"]["code"] == "not_found"
    assert "orders is not being verified" in cancelled_again.err


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("setting", ["no_progress_timeout", "verify_statement_seconds"])
def test_an_invalid_setting_is_reported_by_the_verification_if_options_are_given(bench: Bench, setting: str) -> None:
    Setting.objects.create(invalid={setting: "soon"})
    result = verifymodule("orders", "--columns", "name", "--json")
    assert result.code == 1
    row = Verification.objects.get()
    assert setting in (row.error or {})["message"] + (row.error or {})["detail"]
    assert (result.json["verification"], result.json["error"]) == (row.pk, row.error)


def test_the_options_are_not_checked_while_the_metadata_fails(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Setting:
        raise OperationalError("database is locked")

    monkeypatch.setattr(execute, "current_settings", fail)
    assert execute.invalid_option(Module.objects.get(), {"columns": ["nothere"]}) is None

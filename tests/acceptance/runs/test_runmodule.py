"""Tests of the command `runmodule` as scripts use it: its JSON, exit codes, dry runs and force."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from connections.models import Connection
from modules.models import Hook, Module, Watermark
from runs.models import Run
from tests.harness.bench import Bench
from tests.processes.commands import call, manage

QUERY = 'SELECT "DCORD#" AS dcord, RTRIM(DCOTYP) AS dcotyp FROM QCRH'
Save = Callable[..., Module]


@pytest.fixture
def orders(bench: Bench) -> Bench:
    bench.at_source(
        'CREATE TABLE QCRH ("DCORD#" INTEGER, DCOTYP CHAR(5))',
        "INSERT INTO QCRH VALUES (12345, 'A    '), (12346, 'B'), (12348, NULL)",
    )
    return bench


def test_the_json_of_a_run_has_every_promised_key(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", QUERY, merge_strategy="incremental", merge_key="dcord")
    manage("runmodule", "qcrh", "--quiet")
    orders.at_source("INSERT INTO QCRH VALUES (12350, 'new')")
    result = manage("runmodule", "qcrh", "--json")
    assert result.code == 0, result.err
    run = result.json
    assert set(run) >= {
        *("run", "module", "status", "trigger", "strategy", "read", "staged", "inserted", "updated", "deleted"),
        *("bytes", "seconds", "source_query", "merge_sql", "watermarks", "warnings", "error"),
    }
    assert (run["status"], run["trigger"], run["strategy"]) == ("success", "manual", "incremental")
    assert (run["read"], run["staged"], run["inserted"], run["updated"], run["deleted"]) == (1, 1, 1, 0, 0)
    assert run["source_query"] == QUERY + ' WHERE "DCORD#" > 12348'
    assert run["watermarks"] == {"dcord": {"in": "12348", "out": "12350"}}
    assert 'INSERT INTO "sync"."qcrh"' in run["merge_sql"]
    assert run["error"] is None
    assert "transfer ..." in result.err


def test_a_dry_run_is_recorded_and_creates_no_table(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", QUERY)
    result = call("runmodule", "qcrh", "--dry-run", "--json")
    assert (result.code, result.json["status"]) == (0, "dry_run")
    assert result.json["source_query"] == QUERY
    assert orders.rows("SELECT to_regclass('sync.qcrh')") == [(None,)]


def test_an_unknown_module_exits_with_3_and_a_similar_name_is_suggested(save_module: Save) -> None:
    save_module("qcrh", QUERY)
    result = call("runmodule", "qcrx")
    assert (result.code, result.out) == (3, "")
    assert "There is no module “qcrx”" in result.err
    assert "Did you mean “qcrh”?" in result.err


@pytest.mark.matrix
def test_the_json_of_an_unknown_module_has_the_keys_of_a_run_and_an_error(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", QUERY)
    unknown = manage("runmodule", "nope", "--json")
    assert (unknown.code, unknown.json["run"], unknown.json["error"]["code"]) == (3, None, "not_found")
    dry_run = manage("runmodule", "qcrh", "--json", "--dry-run")
    assert set(unknown.json) == set(dry_run.json)


def test_wrong_usage_exits_with_2() -> None:
    assert manage("runmodule").code == 2


@pytest.mark.matrix
def test_a_run_that_a_safety_limit_refuses_exits_with_8_and_can_be_forced(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", QUERY)
    manage("runmodule", "qcrh")
    orders.at_source("DELETE FROM QCRH")
    refused = manage("runmodule", "qcrh", "--json")
    assert (refused.code, refused.json["status"], refused.json["error"]["code"]) == (8, "refused", "safety_limit")
    assert orders.rows("SELECT count(*) FROM sync.qcrh") == [(3,)]
    forced = manage("runmodule", "qcrh", "--json", "--force")
    assert (forced.code, forced.json["deleted"]) == (0, 3)
    assert Run.objects.get(pk=forced.json["run"]).force
    assert "forced" in forced.json["warnings"][0]


@pytest.mark.matrix
def test_a_quiet_forced_run_prints_that_it_was_forced_and_its_warnings(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", QUERY)
    assert "forced" not in manage("runmodule", "qcrh", "--quiet").out
    orders.at_source("DELETE FROM QCRH")
    result = manage("runmodule", "qcrh", "--quiet", "--force")
    (line,) = result.out.splitlines()
    assert ", full, forced): 0 read" in line
    (warning,) = result.err.splitlines()
    assert warning.startswith("warning: ") and "because the run was forced" in warning


@pytest.mark.matrix
def test_a_failed_dry_run_prints_its_error_and_no_empty_headings(
    orders: Bench, save_module: Save, save_connection: Any
) -> None:
    save_module("qcrh", QUERY, destination=save_connection(orders.destination, password="$NOT_THERE"))
    result = manage("runmodule", "qcrh", "--dry-run")
    assert (result.code, result.out) == (1, "qcrh: error (dry run)\n")
    assert "NOT_THERE" in result.err
    # the queries that were built before the failure are shown
    orders.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.qcrh (dcord int)")
    save_connection(orders.destination, password="")
    result = manage("runmodule", "qcrh", "--dry-run")
    assert (result.code, result.out) == (1, f"qcrh: error (dry run)\n\n-- source query\n{QUERY}\n")
    assert "has no column “dcotyp”" in result.err


@pytest.mark.matrix
def test_a_full_refresh_runs_an_incremental_module_with_strategy_full(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", QUERY, merge_strategy="incremental", merge_key="dcord")
    manage("runmodule", "qcrh")
    orders.at_source('DELETE FROM QCRH WHERE "DCORD#" = 12345')
    result = manage("runmodule", "qcrh", "--full-refresh", "--json")
    assert (result.json["strategy"], result.json["inserted"], result.json["deleted"]) == ("full", 2, 3)
    assert result.json["source_query"] == QUERY


@pytest.mark.usefixtures("transfer_in_process")
def test_a_run_uses_the_named_watermarks_and_hooks_of_the_module(orders: Bench, save_module: Save) -> None:
    module = save_module("qcrh", QUERY)
    warehouse = Connection.objects.get(name="warehouse")
    Watermark.objects.create(module=module, name="from_no", connection=warehouse, resolver_sql="SELECT 12346")
    Module.objects.filter(pk=module.pk).update(source_query=QUERY + ' WHERE "DCORD#" >= {from_no}')
    Hook.objects.create(module=module, sql="CREATE TABLE sync.total AS SELECT count(*) n FROM sync.qcrh")
    result = call("runmodule", "qcrh", "--json")
    assert result.json["read"] == 2, result.err
    assert result.json["watermarks"]["from_no"]["in"] == "12346"
    assert orders.rows("SELECT n FROM sync.total") == [(2,)]


@pytest.mark.matrix
@pytest.mark.parametrize(
    "environment",
    [{"TZ": "America/St_Johns", "LC_ALL": "C"}, {"TZ": "Asia/Kolkata", "PGTZ": "Asia/Tokyo", "PGDATESTYLE": "German"}],
)
def test_time_zone_and_locale_of_the_machine_have_no_effect(
    bench: Bench, save_module: Save, environment: dict[str, str]
) -> None:
    bench.at_source(
        "CREATE TABLE s (k INTEGER, at TIMESTAMP, d DATE, x DECIMAL(9,3), t TEXT)",
        "INSERT INTO s VALUES (1, '2026-03-29 02:30:00.123456', '1969-12-31', 1234.5, 'žluťoučký')",
    )
    save_module(
        "zones", "SELECT k, at, d, x, t FROM s", merge_strategy="incremental", merge_key="k", watermark_column="at"
    )
    assert manage("runmodule", "zones", "--json", **environment).code == 0
    again = manage("runmodule", "zones", "--json", **environment)
    assert again.json["source_query"].endswith("WHERE at >= '2026-03-29 02:30:00.123456'")
    assert bench.rows("SELECT k, at::text, d::text, x::text, t FROM sync.zones") == [
        (1, "2026-03-29 02:30:00.123456", "1969-12-31", "1234.500", "žluťoučký")
    ]

"""`runmodule` as a script sees it: JSON on stdout, errors on stderr, exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection as metadata

from connections.models import Connection
from connections.sdk.parameters import ConnectionParameters
from modules.models import Hook, Module, Watermark
from runs.models import Run
from tests.benches.bench import Bench
from tests.processes import commands
from tests.processes.commands import Done, call, go_on, manage, stopped, wait_until

QUERY = 'SELECT "DCORD#" AS dcord, RTRIM(DCOTYP) AS dcotyp FROM QCRH'
Save = Callable[..., Module]


@pytest.fixture
def orders(bench: Bench) -> Bench:
    bench.at_source(
        'CREATE TABLE QCRH ("DCORD#" INTEGER, DCOTYP CHAR(5))',
        "INSERT INTO QCRH VALUES (12345, 'A    '), (12346, 'B'), (12348, NULL)",
    )
    return bench


def test_json_is_one_object_with_every_promised_key(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", QUERY, merge_strategy="incremental", merge_key="dcord")
    manage("runmodule", "qcrh", "--quiet")
    orders.at_source("INSERT INTO QCRH VALUES (12350, 'new')")
    done = manage("runmodule", "qcrh", "--json")
    assert done.code == 0, done.err
    found = done.json
    assert set(found) >= {
        *("run", "module", "status", "trigger", "strategy", "read", "staged", "inserted", "updated", "deleted"),
        *("bytes", "seconds", "source_query", "merge_sql", "watermarks", "warnings", "error"),
    }
    assert (found["status"], found["trigger"], found["strategy"]) == ("success", "manual", "incremental")
    assert (found["read"], found["staged"], found["inserted"], found["updated"], found["deleted"]) == (1, 1, 1, 0, 0)
    assert found["source_query"] == QUERY + ' WHERE "DCORD#" > 12348'
    assert found["watermarks"] == {"dcord": {"in": "12348", "out": "12350"}}
    assert 'INSERT INTO "sync"."qcrh"' in found["merge_sql"]
    assert found["error"] is None
    assert "transfer ..." in done.err


def test_a_dry_run_is_recorded_and_moves_nothing(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", QUERY)
    done = call("runmodule", "qcrh", "--dry-run", "--json")
    assert (done.code, done.json["status"]) == (0, "dry_run")
    assert done.json["source_query"] == QUERY
    assert orders.rows("SELECT to_regclass('sync.qcrh')") == [(None,)]


def test_an_unknown_module_is_exit_code_3_with_a_suggestion(save_module: Save) -> None:
    save_module("qcrh", QUERY)
    done = call("runmodule", "qcrx")
    assert (done.code, done.out) == (3, "")
    assert "There is no module “qcrx”" in done.err
    assert "Did you mean “qcrh”?" in done.err


@pytest.mark.matrix
def test_json_says_why_there_is_no_run_under_the_same_keys(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", QUERY)
    missing = manage("runmodule", "nope", "--json")
    assert (missing.code, missing.json["run"], missing.json["error"]["code"]) == (3, None, "not_found")
    ran = manage("runmodule", "qcrh", "--json", "--dry-run")
    assert set(missing.json) == set(ran.json)


def test_wrong_usage_is_exit_code_2() -> None:
    assert manage("runmodule").code == 2


@pytest.mark.matrix
def test_a_refused_run_is_exit_code_8_and_force_is_recorded(orders: Bench, save_module: Save) -> None:
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
def test_a_quiet_forced_run_says_that_it_was_forced_and_keeps_its_warnings(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", QUERY)
    assert "forced" not in manage("runmodule", "qcrh", "--quiet").out
    orders.at_source("DELETE FROM QCRH")
    done = manage("runmodule", "qcrh", "--quiet", "--force")
    (line,) = done.out.splitlines()
    assert ", full, forced): 0 read" in line
    (warning,) = done.err.splitlines()
    assert warning.startswith("warning: ") and "because the run was forced" in warning


@pytest.mark.matrix
def test_a_failed_dry_run_prints_its_error_and_no_empty_headings(
    orders: Bench, save_module: Save, save_connection: Any
) -> None:
    save_module("qcrh", QUERY, destination=save_connection(orders.destination, password="$NOT_THERE"))
    done = manage("runmodule", "qcrh", "--dry-run")
    assert (done.code, done.out) == (1, "qcrh: error (dry run)\n")
    assert "NOT_THERE" in done.err
    # what was built before it failed is shown
    orders.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.qcrh (dcord int)")
    save_connection(orders.destination, password="")
    done = manage("runmodule", "qcrh", "--dry-run")
    assert (done.code, done.out) == (1, f"qcrh: error (dry run)\n\n-- source query\n{QUERY}\n")
    assert "has no column “dcotyp”" in done.err


@pytest.mark.matrix
def test_a_full_refresh_runs_an_incremental_module_as_full(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", QUERY, merge_strategy="incremental", merge_key="dcord")
    manage("runmodule", "qcrh")
    orders.at_source('DELETE FROM QCRH WHERE "DCORD#" = 12345')
    done = manage("runmodule", "qcrh", "--full-refresh", "--json")
    assert (done.json["strategy"], done.json["inserted"], done.json["deleted"]) == ("full", 2, 3)
    assert done.json["source_query"] == QUERY


def start(name: str, **environment: str) -> subprocess.Popen[str]:
    return commands.start("runmodule", name, "--json", **environment)


@pytest.mark.matrix
def test_a_second_run_is_exit_code_4_and_names_the_first(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", QUERY)
    first = start("qcrh", PIPEKIT_FAULTS="transfer.started=stop")
    wait_until(lambda: Run.objects.active().exists())
    second = manage("runmodule", "qcrh", "--json")
    running = Run.objects.get()
    assert second.code == 4
    assert (second.json["run"], second.json["error"]["code"]) == (None, "already_running")
    assert second.json["error"]["detail"] == str(running.pk)
    assert f"run {running.pk} of qcrh is running" in second.err
    go_on(first.pid)
    first.communicate(timeout=120)
    assert first.returncode == 0


@pytest.mark.matrix
def test_two_modules_into_one_table_do_not_run_at_once(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", QUERY)
    save_module("again", QUERY, dest_table="sync.qcrh")
    first = start("qcrh", PIPEKIT_FAULTS="transfer.started=stop")
    wait_until(lambda: Run.objects.active().exists())
    second = manage("runmodule", "again")
    assert second.code == 4
    assert "writes the same table" in second.err
    go_on(first.pid)
    first.communicate(timeout=120)


@pytest.mark.matrix
def test_a_killed_run_blocks_nobody_and_is_settled(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", QUERY)
    killed = start("qcrh", PIPEKIT_FAULTS="publish.before_commit=kill9")
    killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    done = manage("runmodule", "qcrh", "--json")
    assert (done.code, done.json["inserted"]) == (0, 3)
    lost = Run.objects.order_by("pk")[0]
    assert lost.error is not None
    assert (lost.status, lost.error["code"]) == ("error", "lost")


@pytest.mark.matrix
def test_a_run_killed_after_its_commit_is_found_to_have_succeeded(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", QUERY)
    killed = start("qcrh", PIPEKIT_FAULTS="publish.after_commit=kill9")
    killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert manage("runmodule", "qcrh", "--json").code == 0
    recovered = Run.objects.order_by("pk")[0]
    assert (recovered.status, recovered.inserted) == ("success", 3)


@pytest.mark.matrix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_cancels_and_leaves_the_destination(
    orders: Bench, save_module: Save, number: signal.Signals, code: int
) -> None:
    save_module("qcrh", QUERY)
    process = start("qcrh", PIPEKIT_FAULTS="publish.before_commit=sleep:600")
    wait_until(lambda: Run.objects.filter(staged=3).exists())
    time.sleep(0.3)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    assert json.loads(out)["status"] == "cancelled"
    assert orders.rows("SELECT to_regclass('sync.qcrh')") == [(None,)]


def test_a_run_whose_row_is_gone_from_the_metadata_is_lost_and_not_cancelled(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", QUERY)
    process = start("qcrh", PIPEKIT_FAULTS="publish.before_commit=sleep:600")
    wait_until(lambda: Run.objects.filter(staged=3).exists())
    # as when the file is exchanged for another, or a backup is put back
    with metadata.cursor() as cursor:
        cursor.execute(f"DELETE FROM {Run._meta.db_table}")
    out, err = process.communicate(timeout=60)
    found = json.loads(out)
    assert (process.returncode, found["status"], found["error"]["code"]) == (1, "error", "lost"), err
    assert "cancelled" not in err
    assert "replaced or restored" in found["error"]["hint"]
    assert "nothing was published" in found["error"]["message"]
    assert orders.rows("SELECT to_regclass('sync.qcrh')") == [(None,)]


def gone_at(point: str) -> dict[str, Any]:
    """Start `qcrh`, delete its row while it stands still at this point, and return its JSON."""
    process = start("qcrh", PIPEKIT_FAULTS=f"{point}=stop")
    wait_until(lambda: stopped(process.pid))
    with metadata.cursor() as cursor:
        cursor.execute(f"DELETE FROM {Run._meta.db_table}")
    go_on(process.pid)
    out, err = process.communicate(timeout=120)
    assert "cancelled" not in err
    return {**json.loads(out), "exit": process.returncode}


def test_a_write_that_finds_the_row_gone_ends_the_run_as_the_heartbeat_does(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", QUERY)
    found = gone_at("transfer.finished")
    assert (found["exit"], found["status"], found["error"]["code"]) == (1, "error", "lost")
    assert "nothing was published" in found["error"]["message"]
    assert orders.rows("SELECT to_regclass('sync.qcrh')") == [(None,)]


def test_what_was_published_is_a_success_also_where_the_row_is_gone(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", QUERY)
    found = gone_at("publish.after_commit")
    assert (found["exit"], found["status"], found["inserted"]) == (0, "success", 3)
    assert "was deleted from the metadata database" in found["warnings"][0]
    assert orders.rows("SELECT count(*) FROM sync.qcrh") == [(3,)]


def failing(done: Done) -> dict[str, str]:
    """The error of a run that failed as it should: exit code 1, something to do about it."""
    assert done.code == 1, done.err
    found: dict[str, str] = done.json["error"]
    assert found["hint"]
    assert "error: " in done.err and "fix:   " in done.err
    assert "Traceback" not in done.err
    return found


def test_a_closed_port_is_one_clear_error(orders: Bench, save_module: Save, save_connection: Any) -> None:
    closed = replace(orders.destination, url="jdbc:postgresql://127.0.0.1:1/dw", name="closed")
    save_module("qcrh", QUERY, destination=save_connection(closed))
    error = failing(call("runmodule", "qcrh", "--json"))
    assert error["code"] == "connection_failed"
    assert "closed: No connection to 127.0.0.1:1: nothing listens on that port" in error["message"]


def test_an_unknown_host_is_one_clear_error(orders: Bench, save_module: Save, save_connection: Any) -> None:
    unknown = replace(orders.destination, url="jdbc:postgresql://nowhere.invalid/dw", name="unknown")
    save_module("qcrh", QUERY, destination=save_connection(unknown))
    error = failing(call("runmodule", "qcrh", "--json"))
    assert error["code"] == "connection_failed"
    assert "the host name is unknown" in error["message"]


def test_a_wrong_password_is_one_clear_error_and_shown_nowhere(
    orders: Bench, save_module: Save, save_connection: Any, guarded_url: str
) -> None:
    guarded = ConnectionParameters(kind="postgresql", url=guarded_url, name="guarded")
    save_module("qcrh", QUERY, destination=save_connection(guarded, username="guarded", password="$DW_PW"))
    done = manage("runmodule", "qcrh", "--json", DW_PW="wrong-pw-1846")
    error = failing(done)
    assert error["code"] == "authentication_failed"
    assert "manage.py secrets check" in error["hint"]
    assert "wrong-pw-1846" not in done.out + done.err + Run.objects.get().log_file.read_text()
    right = manage("runmodule", "qcrh", "--json", DW_PW="right-pw-7391")
    assert right.code == 0, right.err
    assert "right-pw-7391" not in right.out + right.err


def test_a_missing_secret_is_named(orders: Bench, save_module: Save, save_connection: Any) -> None:
    save_module("qcrh", QUERY, destination=save_connection(orders.destination, password="$NOT_THERE"))
    error = failing(call("runmodule", "qcrh", "--json"))
    assert error["code"] == "secret_missing"
    assert "NOT_THERE" in error["message"]


def test_a_missing_table_is_named(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", "SELECT a FROM nothere")
    error = failing(call("runmodule", "qcrh", "--json"))
    assert (error["code"], "nothere" in error["message"]) == ("table_missing", True)


def test_a_missing_column_is_named(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", "SELECT nocolumn AS a FROM QCRH")
    error = failing(call("runmodule", "qcrh", "--json"))
    assert (error["code"], "nocolumn" in error["message"]) == ("column_missing", True)


def test_bad_sql_is_said_with_the_systems_words(orders: Bench, save_module: Save) -> None:
    module = save_module("qcrh", QUERY)
    Module.objects.filter(pk=module.pk).update(source_query='SELECT "DCORD#" AS dcord FROM QCRH WHERE')
    error = failing(call("runmodule", "qcrh", "--json"))
    assert error["code"] == "query_invalid"


@pytest.mark.matrix
def test_a_kind_that_cannot_move_rows_yet_says_so_in_one_sentence(
    orders: Bench, save_module: Save, save_connection: Any
) -> None:
    iseries = ConnectionParameters(kind="as400", url="jdbc:as400://erp.invalid/LGDAT", name="iseries")
    save_module("qcrh", "SELECT DCORD# AS dcord FROM LGDAT/QCRH WITH UR", source=save_connection(iseries))
    error = failing(call("runmodule", "qcrh", "--json"))
    assert error["code"] == "not_supported"
    assert error["message"] == "Rows cannot be moved from or to as400 yet."
    dry = manage("runmodule", "qcrh", "--json", "--dry-run")
    assert dry.json["status"] == "dry_run", dry.err


@pytest.mark.usefixtures("transfer_in_process")
def test_named_watermarks_and_hooks_of_the_module_are_used(orders: Bench, save_module: Save) -> None:
    module = save_module("qcrh", QUERY)
    warehouse = Connection.objects.get(name="warehouse")
    Watermark.objects.create(module=module, name="from_no", connection=warehouse, resolver_sql="SELECT 12346")
    Module.objects.filter(pk=module.pk).update(source_query=QUERY + ' WHERE "DCORD#" >= {from_no}')
    Hook.objects.create(module=module, sql="CREATE TABLE sync.done AS SELECT count(*) n FROM sync.qcrh")
    done = call("runmodule", "qcrh", "--json")
    assert done.json["read"] == 2, done.err
    assert done.json["watermarks"]["from_no"]["in"] == "12346"
    assert orders.rows("SELECT n FROM sync.done") == [(2,)]


@pytest.mark.matrix
@pytest.mark.parametrize(
    "environment",
    [{"TZ": "America/St_Johns", "LC_ALL": "C"}, {"TZ": "Asia/Kolkata", "PGTZ": "Asia/Tokyo", "PGDATESTYLE": "German"}],
)
def test_the_machines_zone_and_locale_change_nothing(
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

"""Tests of the errors of the command `runmodule`: code, message and hint, and no passwords."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from connections.sdk.parameters import ConnectionParameters
from modules.models import Hook, Module
from runs.models import Run
from tests.acceptance.runs.test_runmodule import QUERY, Save
from tests.acceptance.runs.test_runmodule import orders as orders
from tests.harness.bench import Bench
from tests.processes.commands import CommandResult, call, manage


def error_of(result: CommandResult) -> dict[str, str]:
    """Return the error of a failed run, which must have exit code 1, a hint and no traceback."""
    assert result.code == 1, result.err
    error: dict[str, str] = result.json["error"]
    assert error["hint"]
    assert "error: " in result.err and "fix:   " in result.err
    assert "Traceback" not in result.err
    return error


def test_a_closed_port_is_a_connection_error_that_names_host_and_port(
    orders: Bench, save_module: Save, save_connection: Any
) -> None:
    closed = replace(orders.destination, url="jdbc:postgresql://127.0.0.1:1/dw", name="closed")
    save_module("qcrh", QUERY, destination=save_connection(closed))
    error = error_of(call("runmodule", "qcrh", "--json"))
    assert error["code"] == "connection_failed"
    assert "closed: No connection to 127.0.0.1:1: nothing listens on that port" in error["message"]


def test_an_unknown_host_is_a_connection_error_with_the_cause(
    orders: Bench, save_module: Save, save_connection: Any
) -> None:
    unknown = replace(orders.destination, url="jdbc:postgresql://nowhere.invalid/dw", name="unknown")
    save_module("qcrh", QUERY, destination=save_connection(unknown))
    error = error_of(call("runmodule", "qcrh", "--json"))
    assert error["code"] == "connection_failed"
    assert "the host name is unknown" in error["message"]


def test_a_wrong_password_is_an_authentication_error_that_does_not_show_it(
    orders: Bench, save_module: Save, save_connection: Any, guarded_url: str
) -> None:
    guarded = ConnectionParameters(kind="postgresql", url=guarded_url, name="guarded")
    save_module("qcrh", QUERY, destination=save_connection(guarded, username="guarded", password="$DW_PW"))
    refused = manage("runmodule", "qcrh", "--json", DW_PW="wrong-pw-1846")
    error = error_of(refused)
    assert error["code"] == "authentication_failed"
    assert "manage.py secrets set" in error["hint"] and "manage.py secrets check does not log in" in error["hint"]
    assert "wrong-pw-1846" not in refused.out + refused.err + Run.objects.get().log_file.read_text()
    accepted = manage("runmodule", "qcrh", "--json", DW_PW="right-pw-7391")
    assert accepted.code == 0, accepted.err
    assert "right-pw-7391" not in accepted.out + accepted.err


def test_a_missing_secret_is_named(orders: Bench, save_module: Save, save_connection: Any) -> None:
    save_module("qcrh", QUERY, destination=save_connection(orders.destination, password="$NOT_THERE"))
    error = error_of(call("runmodule", "qcrh", "--json"))
    assert error["code"] == "secret_missing"
    assert "NOT_THERE" in error["message"]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("dry", [False, True])
def test_a_run_that_cannot_be_planned_executes_its_failure_hooks(
    orders: Bench, save_module: Save, save_connection: Any, dry: bool
) -> None:
    orders.at_destination("CREATE TABLE hook_log (n int)")
    sourceless = save_connection(replace(orders.source, name="erp2"), password="$NOT_THERE")
    module = save_module("qcrh", QUERY, source=sourceless)
    for number, run_on in enumerate(("before", "failure", "success", "always", "failure")):
        Hook.objects.create(
            module=module, sql=f"INSERT INTO hook_log VALUES ({number})", run_on=run_on, run_order=number
        )
    Hook.objects.filter(run_order=4).update(connection=sourceless)
    result = call("runmodule", "qcrh", "--json", *(["--dry-run"] if dry else []))
    assert error_of(result)["code"] == "secret_missing"
    assert orders.rows("SELECT n FROM hook_log ORDER BY n") == ([] if dry else [(1,), (3,)])
    expected = "Hook 5 (failure) was not executed: "
    assert [text.startswith(expected) and "NOT_THERE" in text for text in result.json["warnings"]] == [True] * (not dry)


def test_a_missing_table_is_named(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", "SELECT a FROM nothere")
    error = error_of(call("runmodule", "qcrh", "--json"))
    assert (error["code"], "nothere" in error["message"]) == ("table_missing", True)
    assert error["hint"].endswith("The file has the tables QCRH.")
    Module.objects.update(source_query="SELECT a FROM qrch")
    assert error_of(call("runmodule", "qcrh", "--json"))["hint"].endswith("Did you mean “QCRH”?")


def test_a_missing_column_is_named(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", "SELECT nocolumn AS a FROM QCRH")
    error = error_of(call("runmodule", "qcrh", "--json"))
    assert (error["code"], "nocolumn" in error["message"]) == ("column_missing", True)
    assert "QCRH has the columns DCORD#, " in error["hint"]
    Module.objects.update(source_query="SELECT q.dcotpy AS a FROM QCRH q")
    assert error_of(call("runmodule", "qcrh", "--json"))["hint"].endswith("Did you mean “DCOTYP”?")


def test_an_invalid_query_is_reported_as_such(orders: Bench, save_module: Save) -> None:
    module = save_module("qcrh", QUERY)
    Module.objects.filter(pk=module.pk).update(source_query='SELECT "DCORD#" AS dcord FROM QCRH WHERE')
    error = error_of(call("runmodule", "qcrh", "--json"))
    assert error["code"] == "query_invalid"


@pytest.mark.matrix
def test_a_kind_without_support_for_transfers_fails_but_allows_a_dry_run(
    orders: Bench, save_module: Save, save_connection: Any
) -> None:
    iseries = ConnectionParameters(kind="as400", url="jdbc:as400://erp.invalid/LGDAT", name="iseries")
    save_module("qcrh", "SELECT DCORD# AS dcord FROM LGDAT/QCRH WITH UR", source=save_connection(iseries))
    error = error_of(call("runmodule", "qcrh", "--json"))
    assert error["code"] == "not_supported"
    assert error["message"] == "Rows cannot be moved from or to as400 yet."
    dry = manage("runmodule", "qcrh", "--json", "--dry-run")
    assert dry.json["status"] == "dry_run", dry.err

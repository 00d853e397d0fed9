"""The JSON of commands for whose work the metadata database fails after it has begun."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

import manage
from connections.models import Connection
from connections.sdk.parameters import ConnectionParameters
from modules.models import Module
from pipekit_site.metadata.errors import exit_on_error
from runs.cli import follow, run_command, verify_command
from runs.management.commands import rungroup
from runs.models import GroupRun, Run, Verification
from runs.verifications.insert import insert_verification
from tests.factories import GroupFactory, GroupMemberFactory, GroupRunFactory, ModuleFactory, RunFactory
from tests.processes.commands import exit_code

pytestmark = pytest.mark.django_db


def fail(*arguments: object, **options: object) -> Any:
    raise OperationalError("disk I/O error")


@pytest.fixture
def json_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a function that executes a command as manage.py does, and returns the JSON of its failure."""

    def execute(*words: str) -> Any:
        monkeypatch.setattr(sys, "argv", ["manage.py", *words])
        out = io.StringIO()
        with pytest.raises(SystemExit) as ended, exit_on_error(manage._report):
            exit_code(*words, stdout=out, stderr=io.StringIO())
        assert ended.value.code == 1
        result = json.loads(out.getvalue())
        assert result["error"]["code"] == "metadata_unavailable"
        return result

    return execute


def test_a_group_run_that_continues_has_its_number_and_its_runs(
    json_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    GroupFactory.create(name="nightly")
    group_run = GroupRunFactory.create(status="queued")
    run = RunFactory.create(group_run=group_run, status="running")
    monkeypatch.setattr(rungroup, "launch_group_run", lambda *arguments: group_run)
    monkeypatch.setattr(follow, "_POLL_SECONDS", 0)
    polls = iter([True])
    monkeypatch.setattr(GroupRun, "refresh_from_db", lambda row: next(polls, False) or fail())
    result = json_of("rungroup", "nightly", "--json")
    assert (result["group_run"], result["status"]) == (group_run.pk, "queued")
    assert [(row["run"], row["status"]) for row in result["runs"]] == [(run.pk, "running")]


def test_a_run_that_has_begun_has_its_number(json_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleFactory.create()
    monkeypatch.setattr(run_command, "execute_run", fail)
    result = json_of("runmodule", module.name, "--json")
    assert (result["run"], result["module"], result["status"]) == (Run.objects.get().pk, module.name, "running")


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[Module]:
    """Create a group of two modules whose verification ends without comparing anything."""
    group, modules = GroupFactory.create(name="nightly"), [ModuleFactory.create() for _ in range(2)]
    for order, module in enumerate(modules):
        GroupMemberFactory.create(group=group, module=module, run_order=order)

    def execute(verification: Verification, **options: object) -> None:
        if verification.module == modules[1]:
            fail()
        verification.status = "equal"

    monkeypatch.setattr(verify_command, "execute_verification", execute)
    return modules


def test_verifications_that_have_ended_or_begun_are_in_the_json_of_the_group(
    json_of: Callable[..., Any], verified: list[Module]
) -> None:
    rows = json_of("verifygroup", "nightly", "--json")["verifications"]
    first, second = Verification.objects.order_by("pk")
    assert [(row["verification"], row["status"]) for row in rows] == [(first.pk, "equal"), (second.pk, "running")]
    assert [row["error"] and row["error"]["code"] for row in rows] == [None, "metadata_unavailable"]


def test_verifications_that_have_ended_are_in_the_json_if_the_next_cannot_begin(
    json_of: Callable[..., Any], verified: list[Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        verify_command,
        "insert_verification",
        lambda *values: fail() if Verification.objects.count() else insert_verification(*values),
    )
    (row,) = json_of("verifygroup", "nightly", "--json")["verifications"]
    assert (row["module"], row["status"], row["error"]) == (verified[0].name, "equal", None)


def test_a_verification_that_has_begun_has_its_number(json_of: Callable[..., Any], verified: list[Module]) -> None:
    result = json_of("verifymodule", verified[1].name, "--json")
    assert (result["verification"], result["outcome"]) == (Verification.objects.get().pk, "running")


def test_a_connection_test_whose_result_cannot_be_stored_has_its_steps(
    json_of: Callable[..., Any],
    save_connection: Callable[..., Connection],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save_connection(ConnectionParameters(kind="sqlite", url=f"jdbc:sqlite:{tmp_path}/none.db", name="erp"))
    monkeypatch.setattr(Connection, "record_test", fail)
    result = json_of("testconnection", "erp", "--json")
    assert (result["kind"], result["ok"], [step["name"] for step in result["steps"]][-1]) == ("sqlite", False, "file")

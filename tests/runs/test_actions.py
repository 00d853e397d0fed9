"""The admin's buttons: they start and cancel what they say, for those who may."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client

from modules.models import Group, GroupMember, Module
from runs.models import GroupRun, Run
from tests.runs.engine.bench import Bench

MODULES, GROUPS, RUNS = "/admin/modules/module/", "/admin/modules/group/", "/admin/runs/run/"


@pytest.fixture
def module(bench: Bench, save_module: Callable[..., Module]) -> Module:
    bench.at_source("CREATE TABLE s (k INTEGER)", "INSERT INTO s VALUES (1), (2)")
    return save_module("numbers", "SELECT k FROM s")


def act(client: Client, page: str, action: str, *rows: Any) -> str:
    answer = client.post(page, {"action": action, "_selected_action": [row.pk for row in rows]}, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def ended(model: Any, seconds: float = 40) -> Any:
    deadline = time.monotonic() + seconds
    while (row := model.objects.get()).finished_at is None:
        assert time.monotonic() < deadline, f"{row} is still {row.status}"
        time.sleep(0.1)
    return row


def test_run_now_starts_a_process_and_answers_at_once(admin_client: Client, module: Module, bench: Bench) -> None:
    page = act(admin_client, MODULES, "run_now", module)
    assert "Started: numbers #" in page
    run = ended(Run)
    assert (run.status, run.trigger, run.actor, run.inserted) == ("success", "admin", "admin", 2)
    assert bench.rows("SELECT k FROM sync.numbers ORDER BY k") == [(1,), (2,)]
    shown = admin_client.get(f"{RUNS}{run.pk}/change/").content.decode()
    assert "ended: success" in shown


def test_a_group_is_started(admin_client: Client, module: Module) -> None:
    group = Group.objects.create(name="nightly")
    GroupMember.objects.create(group=group, module=module)
    assert "Started: nightly #" in act(admin_client, GROUPS, "run_groups", group)
    assert ended(GroupRun).status == "success"


def test_a_running_run_is_cancelled(
    admin_client: Client, module: Module, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPEKIT_FAULTS", "transfer.started=sleep:30")
    act(admin_client, MODULES, "run_now", module)
    deadline = time.monotonic() + 20
    while Run.objects.get().status != "running":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "asked" in act(admin_client, RUNS, "cancel", Run.objects.get())
    assert ended(Run).status == "cancelled"
    assert bench.rows("SELECT to_regclass('sync.numbers')") == [(None,)]


def test_who_may_only_look_starts_nothing(client: Client, module: Module) -> None:
    viewer = get_user_model().objects.create_user("viewer", password="x", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename__in=["view_module", "view_run", "change_module"]))
    client.force_login(viewer)
    assert "It takes the permission to add runs" in act(client, MODULES, "run_now", module)
    assert not Run.objects.exists()

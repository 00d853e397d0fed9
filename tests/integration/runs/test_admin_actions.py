"""The admin's buttons: they start and cancel what they say, once, in bounds, for those who may."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client

from modules.models import Group, GroupMember, Module
from runs.models import GroupRun, Run
from runs.process.identity import ProcessIdentity
from tests.benches.bench import Bench
from tests.factories import ModuleFactory, RunFactory, change_settings, running
from tests.processes.commands import wait_until

MODULES, GROUPS, RUNS = "/admin/modules/module/", "/admin/modules/group/", "/admin/runs/run/"
GROUP_RUNS = "/admin/runs/grouprun/"


class Idle:
    """A launcher whose processes never come: what is started stays queued."""

    started: list[tuple[str, ...]] = []

    def launch(self, words: Any, *, log: Any) -> ProcessIdentity | None:
        self.started.append(tuple(words))
        return None


@pytest.fixture
def idle(settings: Any, transactional_db: None) -> list[tuple[str, ...]]:
    settings.RUN_LAUNCHER = f"{__name__}.Idle"
    Idle.started = []
    return Idle.started


@pytest.fixture
def module(bench: Bench, save_module: Callable[..., Module]) -> Module:
    bench.at_source("CREATE TABLE s (k INTEGER)", "INSERT INTO s VALUES (1), (2)")
    return save_module("numbers", "SELECT k FROM s")


def act(client: Client, page: str, action: str, *rows: Any, **more: str) -> tuple[str, str]:
    """Press a button; return the address one comes to, and its text."""
    data = {"action": action, "_selected_action": [row.pk for row in rows], **more}
    answer = client.post(page, data, follow=True)
    assert answer.status_code == 200
    return (answer.redirect_chain or [("", 0)])[-1][0], unescape(answer.content.decode())


def ended(model: Any) -> Any:
    wait_until(lambda: model.objects.get().finished_at is not None)
    return model.objects.get()


def user(client: Client, *permissions: str) -> None:
    found = get_user_model().objects.create_user("viewer", password="x", is_staff=True)
    found.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(found)


def test_run_now_starts_a_process_and_answers_at_once(admin_client: Client, module: Module, bench: Bench) -> None:
    address, text = act(admin_client, MODULES, "run_now", module)
    run = Run.objects.get()
    assert address == MODULES
    assert f'Started: <a class="pk-link" href="{RUNS}{run.pk}/change/" title="">numbers #{run.pk}</a>.' in text
    run = ended(Run)
    assert (run.status, run.trigger, run.actor, run.inserted) == ("success", "admin", "admin", 2)
    assert bench.rows("SELECT k FROM sync.numbers ORDER BY k") == [(1,), (2,)]
    assert "ended: success" in admin_client.get(f"{RUNS}{run.pk}/change/").content.decode()


def test_from_its_own_page_one_comes_to_the_run_and_a_second_click_leads_there_too(
    admin_client: Client, idle: list[tuple[str, ...]]
) -> None:
    module = ModuleFactory.create()
    first, _ = act(admin_client, MODULES, "run_now", module, from_page="1")
    second, text = act(admin_client, MODULES, "run_now", module, from_page="1")
    run = Run.objects.get()
    assert first == second == f"{RUNS}{run.pk}/change/"
    assert "nothing was started a second time" in text
    assert len(idle) == 1


def test_a_group_is_started_and_a_second_click_leads_to_the_same_group_run(
    admin_client: Client, idle: list[tuple[str, ...]]
) -> None:
    group = Group.objects.create(name="nightly")
    GroupMember.objects.create(group=group, module=ModuleFactory.create())
    first, text = act(admin_client, GROUPS, "run_groups", group, from_page="1")
    assert "nightly #" in text
    second, text = act(admin_client, GROUPS, "run_groups", group, from_page="1")
    assert first == second == f"{GROUP_RUNS}{GroupRun.objects.get().pk}/change/"
    assert "nothing was started a second time" in text


def test_a_run_is_started_again_in_the_way_in_which_it_ran(admin_client: Client, idle: list[tuple[str, ...]]) -> None:
    run = running(full_refresh=True)
    run.finish_error({"code": "x", "message": "It broke.", "hint": "", "detail": ""})
    act(admin_client, RUNS, "run_again", run)
    again = Run.objects.latest("pk")
    assert (again.module, again.full_refresh, again.status) == (run.module, True, "queued")


def test_more_than_may_start_at_once_are_refused_together_with_what_to_do(
    admin_client: Client, idle: list[tuple[str, ...]]
) -> None:
    change_settings(runs_per_tick=3)
    modules = ModuleFactory.create_batch(4)
    _, text = act(admin_client, MODULES, "run_now", *modules)
    assert "More than 3 are selected, and nothing was done" in text
    assert "Add them to a group" in text
    assert (idle, Run.objects.count()) == ([], 0)
    act(admin_client, MODULES, "run_now", *modules[:3])
    assert (len(idle), Run.objects.count()) == (3, 3)


def test_a_running_run_is_cancelled(
    admin_client: Client, module: Module, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPEKIT_FAULTS", "transfer.started=sleep:600")
    act(admin_client, MODULES, "run_now", module)
    wait_until(lambda: Run.objects.get().status == "running")
    address, text = act(admin_client, RUNS, "cancel", Run.objects.get(), from_page="1")
    assert address == f"{RUNS}{Run.objects.get().pk}/change/"
    assert "is being cancelled" in text
    assert ended(Run).status == "cancelled"
    assert bench.rows("SELECT to_regclass('sync.numbers')") == [(None,)]


def test_cancelling_what_is_over_says_so(admin_client: Client, idle: list[tuple[str, ...]]) -> None:
    run = running()
    run.finish_success(inserted=1)
    assert "has already ended." in act(admin_client, RUNS, "cancel", run)[1]
    assert idle == []


@pytest.mark.parametrize(("page", "action"), [(MODULES, "run_now"), (MODULES, "full_refresh"), (RUNS, "cancel")])
def test_who_may_only_look_is_offered_no_button_and_starts_nothing(
    client: Client, idle: list[tuple[str, ...]], page: str, action: str
) -> None:
    user(client, "view_module", "view_run", "change_module")
    run = RunFactory.create()
    row: Any = run.module if page == MODULES else run
    for address in (page, f"{page}{row.pk}/change/"):
        assert f'value="{action}"' not in client.get(address).content.decode()
    act(client, page, action, row)
    assert Run.objects.get().cancel_requested is False
    assert idle == []


def test_who_may_run_but_not_edit_has_the_buttons_and_no_form(client: Client, idle: list[tuple[str, ...]]) -> None:
    user(client, "view_module", "view_run", "add_run")
    module = ModuleFactory.create()
    page = client.get(f"{MODULES}{module.pk}/change/").content.decode()
    assert 'value="run_now"' in page
    assert 'value="disable"' not in page
    assert 'name="_save"' not in page
    assert "Started:" in act(client, MODULES, "run_now", module)[1]


def test_nothing_is_started_by_an_address_or_from_another_site(module: Module, idle: list[tuple[str, ...]]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(get_user_model().objects.create_superuser("root", password="x"))
    data: dict[str, Any] = {"action": "run_now", "_selected_action": module.pk}
    client.get(MODULES, data)
    assert client.post(MODULES, data).status_code == 403
    assert not Run.objects.exists()

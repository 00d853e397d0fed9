"""The admin's buttons that start and cancel runs: what they do, their limit, and the permissions they require."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from connections.sdk.errors import InternalError
from modules.models import Group, GroupMember, Module
from runs.models import GroupRun, Run, Verification
from runs.process import identity
from runs.process.identity import ProcessIdentity
from tests.factories import ModuleFactory, RunFactory, change_settings, create_running_run
from tests.harness.bench import Bench
from tests.processes.commands import wait_until

MODULES, GROUPS, RUNS = "/admin/modules/module/", "/admin/modules/group/", "/admin/runs/run/"
GROUP_RUNS = "/admin/runs/grouprun/"


class RecordingLauncher:
    """Records the commands and starts no process, so that runs stay queued."""

    commands: list[tuple[str, ...]] = []

    def launch(self, words: Any, *, log: Any) -> ProcessIdentity | None:
        self.commands.append(tuple(words))
        return None


@pytest.fixture
def commands(settings: Any, transactional_db: None) -> list[tuple[str, ...]]:
    """Start no processes; return the commands that would have been started."""
    settings.RUN_LAUNCHER = f"{__name__}.RecordingLauncher"
    RecordingLauncher.commands = []
    return RecordingLauncher.commands


class FailingLauncher:
    """Starts no process, and fails."""

    def launch(self, words: Any, *, log: Any) -> ProcessIdentity | None:
        raise InternalError("The process could not be started.", hint="Free some memory.")


@pytest.fixture
def module(bench: Bench, save_module: Callable[..., Module]) -> Module:
    bench.at_source("CREATE TABLE s (k INTEGER)", "INSERT INTO s VALUES (1), (2)")
    return save_module("numbers", "SELECT k FROM s")


def press(client: Client, page: str, action: str, *rows: Any, **data: str) -> tuple[str, str]:
    """Press a button for the rows; return the URL and the content of the page that follows."""
    form = {"action": action, "_selected_action": [row.pk for row in rows], **data}
    response = client.post(page, form, follow=True)
    assert response.status_code == 200
    return (response.redirect_chain or [("", 0)])[-1][0], unescape(response.content.decode())


def wait_for_end() -> Run:
    wait_until(lambda: Run.objects.get().finished_at is not None)
    return Run.objects.get()


def login(client: Client, *permissions: str) -> None:
    """Log in a user with these permissions only."""
    user = get_user_model().objects.create_user("viewer", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)


def test_run_now_starts_a_process_and_links_to_the_run(admin_client: Client, module: Module, bench: Bench) -> None:
    url, content = press(admin_client, MODULES, "run_now", module)
    run = Run.objects.get()
    assert url == MODULES
    assert f'Started: <a class="pk-link" href="{RUNS}{run.pk}/change/" title="">numbers #{run.pk}</a>.' in content
    run = wait_for_end()
    assert (run.status, run.trigger, run.actor, run.inserted) == ("success", "admin", "admin", 2)
    assert bench.rows("SELECT k FROM sync.numbers ORDER BY k") == [(1,), (2,)]
    assert "ended: success" in admin_client.get(f"{RUNS}{run.pk}/change/").content.decode()


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("action", ["run_now", "verify"])
def test_a_process_that_could_not_be_started_is_shown_as_an_error(
    admin_client: Client, transactional_db: None, settings: Any, action: str
) -> None:
    settings.RUN_LAUNCHER = f"{__name__}.FailingLauncher"
    url, content = press(admin_client, MODULES, action, ModuleFactory.create(), from_page="1")
    row: Any = (Run if action == "run_now" else Verification).objects.get()
    assert row.is_final
    assert "could not be started. Free some memory." in content
    assert f"{row}</a> did not start:" in content
    assert "Started:" not in content
    assert "Verification started" not in content
    assert url.endswith(f"/{row.pk}/change/")


def test_a_cancel_after_the_publish_says_that_the_remaining_steps_are_skipped(
    admin_client: Client, commands: list[tuple[str, ...]]
) -> None:
    run = RunFactory.create(status="running", published_at=timezone.now(), **identity.current().as_fields())
    _, content = press(admin_client, RUNS, "cancel", run)
    assert "its rows are published; its remaining hooks and key_sync are skipped." in content
    assert commands == [("cancelrun", str(run.pk))]


def test_a_second_click_on_the_page_of_a_module_redirects_to_the_run_of_the_first(
    admin_client: Client, commands: list[tuple[str, ...]]
) -> None:
    module = ModuleFactory.create()
    first_url, content = press(admin_client, MODULES, "run_now", module, from_page="1")
    assert "nothing was started a second time" not in content
    second_url, content = press(admin_client, MODULES, "run_now", module, from_page="1")
    run = Run.objects.get()
    assert first_url == second_url == f"{RUNS}{run.pk}/change/"
    assert "nothing was started a second time" in content
    assert len(commands) == 1


def test_a_second_click_on_the_page_of_a_group_redirects_to_the_group_run_of_the_first(
    admin_client: Client, commands: list[tuple[str, ...]]
) -> None:
    group = Group.objects.create(name="nightly")
    GroupMember.objects.create(group=group, module=ModuleFactory.create())
    first_url, content = press(admin_client, GROUPS, "run_groups", group, from_page="1")
    assert "nothing was started a second time" not in content
    second_url, content = press(admin_client, GROUPS, "run_groups", group, from_page="1")
    assert first_url == second_url == f"{GROUP_RUNS}{GroupRun.objects.get().pk}/change/"
    assert "nothing was started a second time" in content
    assert len(commands) == 1


def test_run_again_starts_a_run_with_the_same_options(admin_client: Client, commands: list[tuple[str, ...]]) -> None:
    run = create_running_run(full_refresh=True)
    run.finish_error({"code": "x", "message": "It broke.", "hint": "", "detail": ""})
    press(admin_client, RUNS, "run_again", run)
    again = Run.objects.latest("pk")
    assert (again.module, again.full_refresh, again.status) == (run.module, True, "queued")


def test_a_selection_above_the_limit_starts_nothing_and_shows_a_hint(
    admin_client: Client, commands: list[tuple[str, ...]]
) -> None:
    change_settings(runs_per_tick=3)
    modules = ModuleFactory.create_batch(4)
    _, content = press(admin_client, MODULES, "run_now", *modules)
    assert "More than 3 are selected, and nothing was done" in content
    assert "Add them to a group" in content
    assert (commands, Run.objects.count()) == ([], 0)
    press(admin_client, MODULES, "run_now", *modules[:3])
    assert (len(commands), Run.objects.count()) == (3, 3)


@pytest.mark.matrix
def test_cancel_ends_a_running_run(
    admin_client: Client, module: Module, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPEKIT_FAULTS", "transfer.started=sleep:600")
    press(admin_client, MODULES, "run_now", module)
    wait_until(lambda: Run.objects.get().status == "running")
    url, content = press(admin_client, RUNS, "cancel", Run.objects.get(), from_page="1")
    assert url == f"{RUNS}{Run.objects.get().pk}/change/"
    assert "is being cancelled" in content
    assert wait_for_end().status == "cancelled"
    assert bench.rows("SELECT to_regclass('sync.numbers')") == [(None,)]


def test_cancelling_a_run_that_has_ended_shows_a_message(admin_client: Client, commands: list[tuple[str, ...]]) -> None:
    run = create_running_run()
    run.finish_success(inserted=1)
    assert "has already ended." in press(admin_client, RUNS, "cancel", run)[1]
    assert commands == []


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(("page", "action"), [(MODULES, "run_now"), (MODULES, "full_refresh"), (RUNS, "cancel")])
def test_a_user_without_the_permission_to_run_sees_no_button_and_cannot_use_it(
    client: Client, commands: list[tuple[str, ...]], page: str, action: str
) -> None:
    login(client, "view_module", "view_run", "change_module")
    run = RunFactory.create()
    row: Any = run.module if page == MODULES else run
    for url in (page, f"{page}{row.pk}/change/"):
        assert f'value="{action}"' not in client.get(url).content.decode()
    press(client, page, action, row)
    assert Run.objects.get().cancel_requested is False
    assert commands == []


def test_a_user_who_may_run_but_not_change_modules_sees_the_buttons_and_no_form(
    client: Client, commands: list[tuple[str, ...]]
) -> None:
    login(client, "view_module", "view_run", "add_run")
    module = ModuleFactory.create()
    content = client.get(f"{MODULES}{module.pk}/change/").content.decode()
    assert 'value="run_now"' in content
    assert 'value="disable"' not in content
    assert 'name="_save"' not in content
    assert "Started:" in press(client, MODULES, "run_now", module)[1]


def test_a_get_request_or_a_request_from_another_site_starts_nothing(
    module: Module, commands: list[tuple[str, ...]]
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(get_user_model().objects.create_superuser("root", password="x"))
    data: dict[str, Any] = {"action": "run_now", "_selected_action": module.pk}
    client.get(MODULES, data)
    assert client.post(MODULES, data).status_code == 403
    assert not Run.objects.exists()

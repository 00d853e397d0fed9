"""Verifications in the admin: started in a process of their own, with a page for the result and the repair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from runs.models import Verification
from runs.process import identity
from runs.process.identity import ProcessIdentity
from tests.factories import ModuleFactory, RunFactory, change_settings
from tests.processes.launchers import NullLauncher

pytestmark = pytest.mark.django_db


started: list[Sequence[str]] = []


class RecordingLauncher(NullLauncher):
    """Starts no process, and records the commands."""

    def launch(self, words: Sequence[str], *, log: Path) -> ProcessIdentity | None:
        started.append(words)
        return super().launch(words, log=log)


@pytest.fixture(autouse=True)
def recording_launcher(settings: Settings) -> None:
    settings.RUN_LAUNCHER = "tests.integration.verify.test_admin.RecordingLauncher"
    started.clear()


def press(client: Client, model: str, action: str, *rows: int) -> str:
    url = reverse(f"admin:{model}_changelist")
    response = client.post(url, {"action": action, "_selected_action": rows, "from_page": "1"}, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def create_verification(**fields: object) -> Verification:
    module = ModuleFactory.create()
    values = {"status": "different", "missing": 1, "extra": 0, "different": 2, **fields}
    return Verification.objects.create(**{"module": module, "module_name": module.name, **values})


def test_the_button_of_a_module_starts_a_verification_and_shows_it(admin_client: Client) -> None:
    module = ModuleFactory.create(name="orders")
    page = press(admin_client, "modules_module", "verify", module.pk)
    verification = Verification.objects.get()
    assert (verification.module, verification.trigger, verification.actor) == (module, "admin", "admin")
    assert f"orders #{verification.pk}" in page


def test_several_modules_are_verified_by_one_process(admin_client: Client) -> None:
    modules = [ModuleFactory.create() for _ in range(3)]
    press(admin_client, "modules_module", "verify", *(module.pk for module in modules))
    assert Verification.objects.count() == 3
    assert len({row.pid for row in Verification.objects.all()}) == 1


def test_the_page_of_a_different_result_shows_the_values_escaped_and_offers_the_repair(admin_client: Client) -> None:
    value = {"key": 5, "column": "a", "source": "<b>1</b>", "dest": None}
    row = create_verification(examples={"missing": [["x", 1]], "extra": [], "different": [value]})
    page = admin_client.get(reverse("admin:runs_verification_change", args=[row.pk])).content.decode()
    assert "Missing in the destination" in page
    assert "&lt;b&gt;1&lt;/b&gt;" in page
    assert 'value="repair"' in page


def test_a_repair_has_the_options_of_its_verification(admin_client: Client) -> None:
    row = create_verification(options={"columns": ["a"]})
    press(admin_client, "runs_verification", "repair", row.pk)
    new = Verification.objects.exclude(pk=row.pk).get()
    assert (new.repair, new.options, new.module) == (True, {"columns": ["a"]}, row.module)


def test_several_verifications_are_repeated_by_one_process_with_each_module_once(admin_client: Client) -> None:
    rows = [create_verification() for _ in range(3)]
    again = Verification.objects.create(module=rows[0].module, module_name=rows[0].module_name, status="equal")
    press(admin_client, "runs_verification", "verify_again", *(row.pk for row in (*rows, again)))
    new = Verification.objects.filter(status="queued")
    assert {row.module_id for row in new} == {row.module_id for row in rows}
    assert [len(words) for words in started] == [5]


def test_verifications_with_other_options_are_repaired_by_separate_processes(admin_client: Client) -> None:
    rows = [create_verification(), create_verification(options={"columns": ["a"]})]
    press(admin_client, "runs_verification", "repair", *(row.pk for row in rows))
    new = Verification.objects.filter(status="queued")
    assert {row.module_id: row.options for row in new} == {row.module_id: row.options for row in rows}
    assert len(started) == 2


def test_an_action_starts_no_more_processes_than_runs_per_tick(admin_client: Client) -> None:
    change_settings(runs_per_tick=2)
    rows = [create_verification(options={"sample": number}) for number in range(1, 4)]
    page = press(admin_client, "runs_verification", "repair", *(row.pk for row in rows))
    assert "More than 2 are selected" in page
    assert not started
    assert not Verification.objects.filter(status="queued").exists()


def test_a_running_verification_can_be_cancelled(admin_client: Client) -> None:
    row = create_verification(status="running")
    page = press(admin_client, "runs_verification", "cancel_verification", row.pk)
    row.refresh_from_db()
    assert row.cancel_requested
    assert "is being cancelled" in page
    # the process that waits for its end, and kills it if it hangs
    assert started == [["cancelrun", "--verification", str(row.pk)]]


@pytest.mark.parametrize("on_page", [True, False], ids=["page", "list"])
def test_cancelling_returns_to_the_page_that_the_button_was_on(admin_client: Client, on_page: bool) -> None:
    row = create_verification(status="running")
    url = reverse("admin:runs_verification_changelist")
    data = {"action": "cancel_verification", "_selected_action": row.pk}
    response = admin_client.post(url, data | {"from_page": "1"} if on_page else data)
    assert response.status_code == 302
    assert response["Location"] == (reverse("admin:runs_verification_change", args=[row.pk]) if on_page else url)


def test_cancelling_a_verification_whose_process_was_killed_starts_those_that_waited_for_it(
    admin_client: Client,
) -> None:
    dead = replace(identity.current(), pid=2**22 - 1, started=1).as_fields()
    first = create_verification(status="running", **dead)
    second = create_verification(status="queued", missing=None, **dead)
    page = press(admin_client, "runs_verification", "cancel_verification", first.pk)
    first.refresh_from_db()
    assert (first.error or {})["code"] == "cancelled"
    assert "is cancelled." in page
    assert started == [["carryout", "--verification", str(second.pk)]]


def test_a_user_without_permission_to_run_cannot_verify(client: Client) -> None:
    viewer = User.objects.create_user("vera", password="x", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename__in=["view_module", "view_verification"]))
    client.force_login(viewer)
    module = ModuleFactory.create()
    client.post(reverse("admin:modules_module_changelist"), {"action": "verify", "_selected_action": [module.pk]})
    assert not Verification.objects.exists()


def page_of(client: Client, row: Verification) -> str:
    return client.get(reverse("admin:runs_verification_change", args=[row.pk])).content.decode()


def test_a_repaired_verification_offers_a_repair_only_if_rows_still_differ(admin_client: Client) -> None:
    run = RunFactory.create()
    counts = {"pulled": 2, "inserted": 1, "updated": 1, "deleted": 0}
    repaired = create_verification(repair=True, repair_run=run, repaired=counts, source_rows=5, dest_rows=4)
    page = page_of(admin_client, repaired)
    assert 'value="repair"' not in page
    assert "Before the repair." in page
    incomplete = create_verification(
        repair=True, repair_run=run, repaired={**counts, "left": 3}, source_rows=5, dest_rows=4
    )
    page = page_of(admin_client, incomplete)
    assert 'value="repair"' in page
    assert "3 still differ" in page


def test_a_failed_verification_shows_its_error_instead_of_counts(admin_client: Client) -> None:
    error = {"code": "table_missing", "message": "There is no table.", "hint": "Run it first.", "detail": ""}
    row = create_verification(status="error", error=error, missing=None, extra=None, different=None)
    page = page_of(admin_client, row)
    assert "Run it first." in page
    assert "in the destination" not in page
    page = admin_client.get(reverse("admin:runs_verification_changelist")).content.decode()
    assert "There is no table." in page


def test_the_list_shows_the_differences(admin_client: Client) -> None:
    create_verification(source_rows=1200, dest_rows=1199)
    create_verification(status="equal", source_rows=3, dest_rows=3, missing=0, extra=0, different=0)
    page = admin_client.get(reverse("admin:runs_verification_changelist")).content.decode()
    assert "1 missing, 2 different" in page
    assert "1\u202f200 / 1\u202f199" in page
    assert ">none<" in page


def test_verifications_can_be_filtered_by_their_schedule(admin_client: Client) -> None:
    create_verification(trigger="schedule:7")
    other = create_verification(trigger="admin")
    url = f"{reverse('admin:runs_verification_changelist')}?by=schedule:7"
    rows = admin_client.get(url).context["cl"].result_list
    assert [row.trigger for row in rows] == ["schedule:7"] != [other.trigger]

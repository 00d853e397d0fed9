"""Verifications in the admin: started by a click, in a process of its own, looked at and repaired from their page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from runs.models import Verification
from runs.process.identity import ProcessIdentity
from tests.factories import ModuleFactory, RunFactory, change_settings
from tests.processes.launchers import Nowhere

pytestmark = pytest.mark.django_db


started: list[Sequence[str]] = []


class Listed(Nowhere):
    """Starts no process and keeps what would be started."""

    def launch(self, words: Sequence[str], *, log: Path) -> ProcessIdentity | None:
        started.append(words)
        return super().launch(words, log=log)


@pytest.fixture(autouse=True)
def nowhere(settings: Settings) -> None:
    settings.RUN_LAUNCHER = "tests.integration.verify.test_admin.Listed"
    started.clear()


def press(client: Client, model: str, action: str, *rows: int) -> str:
    address = reverse(f"admin:{model}_changelist")
    answer = client.post(address, {"action": action, "_selected_action": rows, "from_page": "1"}, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def found(**fields: object) -> Verification:
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


def test_the_page_of_a_difference_names_rows_and_offers_the_repair(admin_client: Client) -> None:
    value = {"key": 5, "column": "a", "source": "<b>1</b>", "dest": None}
    row = found(examples={"missing": [["x", 1]], "extra": [], "different": [value]})
    page = admin_client.get(reverse("admin:runs_verification_change", args=[row.pk])).content.decode()
    assert "Missing in the destination" in page
    assert "&lt;b&gt;1&lt;/b&gt;" in page
    assert 'value="repair"' in page


def test_a_repair_compares_the_same_again(admin_client: Client) -> None:
    row = found(options={"columns": ["a"]})
    press(admin_client, "runs_verification", "repair", row.pk)
    new = Verification.objects.exclude(pk=row.pk).get()
    assert (new.repair, new.options, new.module) == (True, {"columns": ["a"]}, row.module)


def test_several_are_verified_again_by_one_process_each_module_once(admin_client: Client) -> None:
    rows = [found() for _ in range(3)]
    again = Verification.objects.create(module=rows[0].module, module_name=rows[0].module_name, status="equal")
    press(admin_client, "runs_verification", "verify_again", *(row.pk for row in (*rows, again)))
    new = Verification.objects.filter(status="queued")
    assert {row.module_id for row in new} == {row.module_id for row in rows}
    assert [len(words) for words in started] == [5]


def test_others_are_compared_by_a_process_of_their_own(admin_client: Client) -> None:
    rows = [found(), found(options={"columns": ["a"]})]
    press(admin_client, "runs_verification", "repair", *(row.pk for row in rows))
    new = Verification.objects.filter(status="queued")
    assert {row.module_id: row.options for row in new} == {row.module_id: row.options for row in rows}
    assert len(started) == 2


def test_a_click_starts_no_more_processes_than_a_tick(admin_client: Client) -> None:
    change_settings(runs_per_tick=2)
    rows = [found(options={"sample": number}) for number in range(1, 4)]
    page = press(admin_client, "runs_verification", "repair", *(row.pk for row in rows))
    assert "More than 2 are selected" in page
    assert not started
    assert not Verification.objects.filter(status="queued").exists()


def test_a_running_one_is_asked_to_stop(admin_client: Client) -> None:
    row = found(status="running")
    press(admin_client, "runs_verification", "cancel_verification", row.pk)
    row.refresh_from_db()
    assert row.cancel_requested


def test_who_may_not_run_may_not_verify(client: Client) -> None:
    viewer = User.objects.create_user("vera", password="x", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename__in=["view_module", "view_verification"]))
    client.force_login(viewer)
    module = ModuleFactory.create()
    client.post(reverse("admin:modules_module_changelist"), {"action": "verify", "_selected_action": [module.pk]})
    assert not Verification.objects.exists()


def page_of(client: Client, row: Verification) -> str:
    return client.get(reverse("admin:runs_verification_change", args=[row.pk])).content.decode()


def test_one_that_was_repaired_offers_no_repair_and_says_what_its_numbers_are(admin_client: Client) -> None:
    run = RunFactory.create()
    counts = {"pulled": 2, "inserted": 1, "updated": 1, "deleted": 0}
    repaired = found(repair=True, repair_run=run, repaired=counts, source_rows=5, dest_rows=4)
    page = page_of(admin_client, repaired)
    assert 'value="repair"' not in page
    assert "Before the repair." in page
    left = found(repair=True, repair_run=run, repaired={**counts, "left": 3}, source_rows=5, dest_rows=4)
    page = page_of(admin_client, left)
    assert 'value="repair"' in page
    assert "3 still differ" in page


def test_one_that_failed_shows_its_error_instead_of_numbers(admin_client: Client) -> None:
    error = {"code": "table_missing", "message": "There is no table.", "hint": "Run it first.", "detail": ""}
    row = found(status="error", error=error, missing=None, extra=None, different=None)
    page = page_of(admin_client, row)
    assert "Run it first." in page
    assert "in the destination" not in page
    listed = admin_client.get(reverse("admin:runs_verification_changelist")).content.decode()
    assert "There is no table." in listed


def test_the_list_names_the_differences(admin_client: Client) -> None:
    found(source_rows=1200, dest_rows=1199)
    found(status="equal", source_rows=3, dest_rows=3, missing=0, extra=0, different=0)
    page = admin_client.get(reverse("admin:runs_verification_changelist")).content.decode()
    assert "1 missing, 2 different" in page
    assert "1\u202f200 / 1\u202f199" in page
    assert ">none<" in page


def test_verifications_of_one_schedule_are_found(admin_client: Client) -> None:
    found(trigger="schedule:7")
    other = found(trigger="admin")
    address = f"{reverse('admin:runs_verification_changelist')}?by=schedule:7"
    listed = admin_client.get(address).context["cl"].result_list
    assert [row.trigger for row in listed] == ["schedule:7"] != [other.trigger]

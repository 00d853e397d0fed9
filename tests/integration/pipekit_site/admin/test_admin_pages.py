"""The admin pages of every model, with rows: status codes, read-only models, and that no secret is shown."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group as UserGroup
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from connections.models import Connection
from modules import history
from modules.models import ModuleHistory
from runs.models import GroupRun, Run, Setting, Verification
from runs.models.notification import Notification
from scheduling.models import Slot
from tests.factories import (
    GroupMemberFactory,
    GroupRunFactory,
    HookFactory,
    ModuleFactory,
    RunFactory,
    ScheduleFactory,
    WatermarkFactory,
    change_settings,
    create_running_run,
)

pytestmark = pytest.mark.django_db
SECRET = "geheim-17-xyzzy"
READ_ONLY = (Run, GroupRun, Verification, ModuleHistory, Notification, Slot)
admin.autodiscover()
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Create at least one row of every model, with a secret in the environment."""
    monkeypatch.setenv("DW_PW", SECRET)
    module = ModuleFactory.build(**{name: getattr(ModuleFactory.create(), name) for name in CONNECTIONS})
    with history.recorded(module, actor="ann"):
        module.save()
        HookFactory.create(module=module)
        WatermarkFactory.create(module=module)
    change_settings(notification_addresses=["etl@example.com"])
    member = GroupMemberFactory.create(module=module)
    slot = {"slot_key": "2027-01-11T04:00", "due_at": timezone.now(), "claimed_at": timezone.now()}
    ScheduleFactory.create(group=member.group).slots.create(**slot)
    run = create_running_run(module=module, group_run=GroupRunFactory.create(group=member.group))
    run.record(
        source_query="SELECT 1", watermarks={"d": {"in": None, "out": "2"}}, steps=[{"step": "stage", "seconds": 1}]
    )
    run.finish_error(
        {"code": "x", "message": "It broke.", "hint": "Mend it.", "detail": "<b>ORA-1</b>"}, warnings=["w"]
    )
    RunFactory.create()
    Verification.objects.create(
        module=module,
        module_name=module.name,
        status="different",
        missing=1,
        options={"columns": ["a"]},
        examples={
            "missing": [["a", 1]],
            "extra": ["<i>x</i>"],
            "different": [{"key": 5, "column": "a", "source": "<b>1</b>", "dest": None}],
        },
    )
    change_settings(min_full_share=0.4)
    UserGroup.objects.create(name="editors")
    # resolves the secret, which a page could then show by mistake
    Connection.objects.get(pk=module.dest_connection_id).parameters()


CONNECTIONS = ("source_connection", "dest_connection")


def page(client: Client, model: type[Model], kind: str, *args: object) -> tuple[int, str]:
    response = client.get(
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{kind}", args=args), follow=True
    )
    return response.status_code, response.content.decode()


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_page_of_every_model_opens_and_shows_no_secret(
    admin_client: Client, rows: None, model: type[Model]
) -> None:
    assert model._default_manager.exists()
    pages = [page(admin_client, model, "changelist")]
    for row in model._default_manager.all():
        pages += [page(admin_client, model, "change", row.pk), page(admin_client, model, "history", row.pk)]
    if model not in (*READ_ONLY, Setting):
        pages.append(page(admin_client, model, "add"))
    assert {status for status, _ in pages} == {200}
    assert all(SECRET not in content for _, content in pages)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("model", READ_ONLY)
def test_history_models_are_read_only(admin_client: Client, rows: None, model: type[Model]) -> None:
    row = model._default_manager.all()[0]
    assert page(admin_client, model, "add")[0] == 403
    assert page(admin_client, model, "delete", row.pk)[0] == 403
    change = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[row.pk])
    assert admin_client.post(change, {"status": "success"}).status_code == 403


def test_the_sidebar_entries_have_the_intended_order(admin_client: Client) -> None:
    content = admin_client.get("/admin/").content.decode()
    names = ["connections/connection/", "modules/module/", "modules/group/", "scheduling/schedule/", "runs/run/"]
    names += ["connections/driver/", "runs/setting/", "auth/user/"]
    positions = [content.index(f'href="/admin/{name}"') for name in names]
    assert positions == sorted(positions)


def test_the_root_redirects_to_the_admin_and_its_login(client: Client) -> None:
    response = client.get("/", follow=True)
    assert [url for url, _ in response.redirect_chain] == ["/admin/", "/admin/login/?next=/admin/"]


def test_a_user_without_permissions_cannot_open_any_list(client: Client, rows: None) -> None:
    user = User.objects.create_user("vera", password="x", is_staff=True)
    client.force_login(user)
    for model in MODELS:
        assert page(client, model, "changelist")[0] == 403

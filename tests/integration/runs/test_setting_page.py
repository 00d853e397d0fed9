"""The settings page of the admin: its form, its invalid stored values, and the permission to use secrets."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client, RequestFactory
from django.urls import reverse

from runs.admin.forms import SettingForm
from runs.admin.setting import SettingAdmin
from runs.models import Setting
from runs.models.setting import current_settings, names
from tests.factories import change_settings, settings_form

pytestmark = pytest.mark.django_db


def test_a_valid_value_is_saved_and_an_invalid_one_refused(admin_client: Client) -> None:
    page = reverse("admin:runs_setting_change", args=[1])
    refused = admin_client.post(page, settings_form(min_full_share="7"))
    assert "between 0 and 1" in refused.content.decode()
    assert admin_client.post(page, settings_form(min_full_share="0.7")).status_code == 302
    assert Setting.objects.get().min_full_share == 0.7


@pytest.mark.parametrize("changes", [{"lease_seconds": "10"}, {"heartbeat_seconds": "60"}])
def test_a_lease_shorter_than_two_heartbeats_is_refused(admin_client: Client, changes: dict[str, str]) -> None:
    page = reverse("admin:runs_setting_change", args=[1])
    change_settings(heartbeat_seconds=20, lease_seconds=40)
    refused = admin_client.post(page, settings_form(**changes))
    assert "must be at least twice heartbeat_seconds" in refused.content.decode()
    assert (Setting.objects.get().heartbeat_seconds, Setting.objects.get().lease_seconds) == (20, 40)
    allowed = settings_form(heartbeat_seconds="5", lease_seconds="10")
    assert admin_client.post(page, allowed).status_code == 302


def test_other_settings_can_be_changed_while_a_stored_lease_is_shorter_than_two_heartbeats(
    admin_client: Client,
) -> None:
    change_settings(heartbeat_seconds=60, lease_seconds=10)
    page = reverse("admin:runs_setting_change", args=[1])
    assert admin_client.post(page, settings_form(notify_every="3")).status_code == 302
    assert current_settings().lease == 120


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    ("key", "typed", "stored"),
    [
        ("notification_addresses", "ann@example.com, ben@example.com", ["ann@example.com", "ben@example.com"]),
        ("notify_manual_runs", "on", True),
        ("site_url", "https://etl.example.com", "https://etl.example.com"),
        ("runs_per_tick", "30", 30),
        ("smtp_username", "4711", "4711"),
    ],
)
def test_a_typed_value_is_stored_in_its_type_and_shown_as_it_was_typed(
    admin_client: Client, key: str, typed: str, stored: Any
) -> None:
    page = reverse("admin:runs_setting_change", args=[1])
    response = admin_client.post(page, settings_form(**{key: typed}))
    assert response.status_code == 302, response.context["errors"]
    assert getattr(Setting.objects.get(), key) == stored
    content = admin_client.get(page).content.decode()
    field = re.search(rf'<(input|select)[^>]* name="{key}"[^>]*>', content)
    assert field and ("checked" if stored is True else f'value="{typed}"') in field[0]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(("key", "value", "other"), [("smtp_security", "tls", "none"), ("smtp_username", "etl", "eve")])
def test_changing_how_the_mail_password_is_sent_requires_the_permission_to_use_secrets(
    client: Client, key: str, value: str, other: str
) -> None:
    change_settings(smtp_password="$MAIL_PW", **{key: value})
    user = User.objects.create_user("edda", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__endswith="_setting"))
    client.force_login(user)
    change = reverse("admin:runs_setting_change", args=[1])
    assert "takes the permission" in client.post(change, settings_form(**{key: other})).content.decode()
    # also if the password is removed in the same request
    both = settings_form(**{key: other, "smtp_password": ""})
    assert "takes the permission" in client.post(change, both).content.decode()
    assert client.post(reverse("admin:runs_setting_delete", args=[1]), {"post": "yes"}).status_code == 403
    assert getattr(Setting.objects.get(), key) == value
    # other settings do not require it
    assert client.post(change, settings_form(notify_every="3")).status_code == 302
    # without a password nothing requires it
    change_settings(smtp_password="")
    assert client.post(change, settings_form(**{key: other})).status_code == 302
    assert getattr(Setting.objects.get(), key) == other


def test_every_setting_is_shown_with_its_name_and_default(admin_client: Client) -> None:
    change_settings(min_full_share=0.4)
    content = admin_client.get(reverse("admin:runs_setting_changelist"), follow=True).content.decode()
    assert all(f"{name}; default: " in content for name in names())
    assert "max_delete_share; default: 0.1" in content


def test_the_list_page_redirects_to_the_form_and_no_row_can_be_added(admin_client: Client) -> None:
    page = reverse("admin:runs_setting_change", args=[1])
    assert admin_client.get(reverse("admin:runs_setting_changelist")).url == page  # type: ignore[attr-defined]
    assert not Setting.objects.exists()
    assert admin_client.get(reverse("admin:runs_setting_change", args=[2])).status_code == 302
    assert admin_client.get(reverse("admin:runs_setting_add")).status_code == 403


def test_saving_the_form_keeps_changes_that_others_made_to_other_settings(admin_client: Client) -> None:
    change_settings(notify_every=3)
    form = SettingForm(settings_form(runs_per_tick="30"), instance=Setting.objects.get())
    assert form.is_valid()
    change_settings(notify_every=4)
    request = RequestFactory().get("/")
    SettingAdmin(Setting, admin.site).save_model(request, form.save(commit=False), form, change=True)
    assert (current_settings().runs_per_tick, current_settings().notify_every) == (30, 4)


def test_an_invalid_stored_value_is_shown_and_replaced(admin_client: Client) -> None:
    change_settings(invalid={"lease_seconds": "<b>", "smtp_password": "hunter2", "mails_per_hour": 3})
    page = reverse("admin:runs_setting_change", args=[1])
    content = admin_client.get(page).content.decode()
    assert "The stored value &quot;&lt;b&gt;&quot; is not valid" in content
    assert "The stored value is not valid" in content
    assert "mails_per_hour" in content
    assert "hunter2" not in content
    refused = admin_client.post(page, settings_form())
    assert "hunter2" not in refused.content.decode()
    assert set(Setting.objects.get().invalid) == {"lease_seconds", "smtp_password", "mails_per_hour"}
    assert admin_client.post(page, settings_form(lease_seconds="90", smtp_password="$MAIL_PW")).status_code == 302
    assert Setting.objects.get().invalid == {"mails_per_hour": 3}
    assert (current_settings().lease_seconds, current_settings().smtp_password) == (90, "$MAIL_PW")

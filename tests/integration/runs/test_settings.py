"""The settings that an operator changes at run time: their defaults, validation and stored values."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from pipekit_site.doctor.checks import CHECKS, Check, run_checks
from runs.admin.forms import SettingForm
from runs.models import Setting
from runs.models.setting import SettingInvalid, current_settings, names
from tests.factories import change_settings, settings_form

pytestmark = pytest.mark.django_db


def test_settings_that_were_never_changed_have_their_defaults() -> None:
    assert {name: getattr(current_settings(), name) for name in names()} == {
        "min_full_share": 0.5,
        "max_delete_share": 0.10,
        "run_retention_days": 400,
        "log_retention_days": 30,
        "no_progress_timeout": 300,
        "heartbeat_seconds": 5,
        "lease_seconds": 60,
        "run_log_megabytes": 50,
        "misfire_grace_hours": 6,
        "runs_per_tick": 20,
        "verify_statement_seconds": 20,
        "verify_statements_per_second": 5,
        "notification_addresses": [],
        "notify_every": 10,
        "notify_manual_runs": False,
        "late_after_hours": None,
        "site_url": "",
        "webhook_url": "",
        "webhook_secret": "",
        "smtp_security": "auto",
        "smtp_username": "",
        "smtp_password": "",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_full_share", 0),
        ("max_delete_share", 1),
        ("run_retention_days", 7),
        ("notification_addresses", ["a@b.cd"]),
        ("no_progress_timeout", 0),
        ("notify_every", 5),
        ("notify_manual_runs", True),
        ("late_after_hours", 26.5),
        ("site_url", "https://etl.example.com/pipekit"),
        ("webhook_url", "https://hooks.example.com/x?token=1"),
        ("webhook_url", "$HOOK_URL"),
        ("webhook_secret", "$HOOK_SECRET"),
        ("smtp_security", "starttls"),
    ],
)
def test_a_valid_value_can_be_stored_and_is_used(name: str, value: Any) -> None:
    row = Setting(**{name: value})
    row.full_clean()
    row.save()
    assert getattr(current_settings(), name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_full_share", 1.1),
        ("min_full_share", float("nan")),
        ("max_delete_share", "half"),
        ("run_retention_days", 0),
        ("notification_addresses", "a@b.cd"),
        ("notification_addresses", ["nobody"]),
        ("notification_addresses", [1]),
        ("no_progress_timeout", -1),
        ("notify_every", 0),
        ("notify_manual_runs", 7),
        ("late_after_hours", 0),
        ("site_url", "etl.example.com"),
        ("site_url", "javascript://x/%0aalert(1)"),
        ("webhook_url", "https://user:pw@hooks.example.com/"),
        ("webhook_url", "https://hooks.example.com/\r\nX: y"),
        ("webhook_url", "https://hooks.example.com:99999/"),
        ("webhook_url", "ftp://hooks.example.com/"),
        ("webhook_secret", "shared"),
        ("smtp_security", "ssl"),
        ("smtp_username", "a\nb"),
        ("smtp_password", "hunter2"),
    ],
)
def test_an_invalid_value_is_refused_by_the_model(name: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        Setting(**{name: value}).full_clean()
    assert list(refused.value.message_dict) == [name]


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("min_full_share", "1.1"),
        ("max_delete_share", "true"),
        ("max_delete_share", "nan"),
        ("run_retention_days", "1.5"),
        ("run_retention_days", ""),
        ("notification_addresses", "nobody"),
        ("late_after_hours", "0"),
        ("smtp_password", "hunter2"),
    ],
)
def test_an_invalid_text_is_refused_by_the_form(name: str, typed: str) -> None:
    form = SettingForm(settings_form(**{name: typed}), instance=Setting())
    form.may_use_secrets = True
    assert list(form.errors) == [name]


def test_the_database_allows_one_row_only() -> None:
    change_settings(notify_every=3)
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE settings SET id = 2")
    with pytest.raises(IntegrityError), transaction.atomic():
        Setting().save()


def test_all_settings_are_read_with_one_query_and_a_later_read_returns_changes() -> None:
    change_settings(notify_every=3, notification_addresses=["a@b.cd"])
    with CaptureQueriesContext(connection) as queries:
        settings = current_settings()
        assert all(hasattr(settings, name) for name in names())
    assert len(queries) == 1
    change_settings(notify_every=4)
    assert (settings.notify_every, current_settings().notify_every) == (3, 4)


def test_an_invalid_stored_value_raises_only_when_it_is_read_and_does_not_reveal_secrets() -> None:
    change_settings(notify_every=3, invalid={"lease_seconds": "long", "smtp_password": "hunter2"})
    settings = current_settings()
    assert settings.notify_every == 3
    with pytest.raises(ValueError, match="stored value of the setting lease_seconds is not valid"):
        _ = settings.lease_seconds
    with pytest.raises(ValueError) as refused:
        _ = current_settings().smtp_password
    assert "hunter2" not in str(refused.value)


@pytest.mark.sqlite_metadata
@pytest.mark.parametrize(
    ("name", "stored", "message"),
    [
        ("heartbeat_seconds", "soon", "is not valid: 'soon'. Expected a whole number from 1 to 60."),
        ("run_log_megabytes", 0, "is not valid: 0. Expected a whole number from 1 to 10000."),
        ("min_full_share", "half", "is not valid: 'half'. Expected a number."),
        ("notification_addresses", '"nobody"', "is not valid: 'nobody'. Expected a list"),
        ("smtp_password", "hunter2", "is not valid. Expected a reference"),
    ],
)
def test_a_value_that_sql_has_stored_and_the_model_refuses_is_named_with_its_setting(
    name: str, stored: Any, message: str
) -> None:
    change_settings(notify_every=3)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE settings SET {name} = %s", [stored])
    settings = current_settings()
    assert settings.notify_every == 3
    with pytest.raises(SettingInvalid) as refused:
        getattr(settings, name)
    assert f"The stored value of the setting {name} {message}" in refused.value.message
    assert (refused.value.code, "in the admin" in refused.value.hint) == ("configuration_invalid", True)
    assert name in settings_check().message


def settings_check() -> Check:
    return next(run_checks(check for check in CHECKS if check[0] == "settings"))


def test_doctor_names_the_settings_whose_stored_values_are_invalid() -> None:
    assert (settings_check().ok, settings_check().message) == (True, "all stored values are valid")
    # the last one no longer exists
    Setting.objects.create(invalid={"run_log_megabytes": 10**12, "heartbeat_seconds": True, "mails_per_hour": 5})
    check = settings_check()
    assert not check.ok
    assert "The stored values of heartbeat_seconds, run_log_megabytes are not valid" in check.message
    assert "in the admin" in check.hint

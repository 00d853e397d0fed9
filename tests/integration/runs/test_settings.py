"""What an operator changes at run time: known keys, checked values, defaults where nothing is set."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from runs.models import Setting
from runs.settings import KEYS, setting

pytestmark = pytest.mark.django_db


def test_a_key_without_a_row_has_its_default() -> None:
    assert {name: setting(name) for name in KEYS} == {
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
    ("key", "value"),
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
def test_a_stored_value_is_what_is_used(key: str, value: Any) -> None:
    row = Setting(key=key, value=value)
    row.full_clean()
    row.save()
    assert setting(key) == value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("min_full_share", 1.1),
        ("min_full_share", "0.5"),
        ("max_delete_share", True),
        ("run_retention_days", 0),
        ("run_retention_days", 1.5),
        ("notification_addresses", "a@b.cd"),
        ("notification_addresses", ["nobody"]),
        ("notification_addresses", [1]),
        ("no_progress_timeout", -1),
        ("notify_every", 0),
        ("notify_manual_runs", 1),
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
def test_a_value_that_the_key_does_not_take_is_refused(key: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        Setting(key=key, value=value).full_clean()
    assert "value" in refused.value.message_dict


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError) as refused:
        Setting(key="nonsense", value=1).full_clean()
    assert "nonsense" in str(refused.value.message_dict)

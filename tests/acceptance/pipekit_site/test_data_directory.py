"""A data directory made by an earlier version opens and runs: the promise of every upgrade.

`tests.acceptance.data_directory.make` made it, and stored beside it what that version said of its content.
"""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
import tarfile
import zoneinfo
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.data_directory.make import ARCHIVE, DIRECTORY, change
from tests.processes.install import Install

# what the page of every row of every model in the admin answers, and whether a former version can be restored
PAGES = """
import json
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from modules.models import Module, ModuleHistory

admin.autodiscover()
client = Client(SERVER_NAME="localhost")
client.force_login(User.objects.get(username="ann"))
statuses, rows = {}, {}
for model in admin.site._registry:
    name = f"{model._meta.app_label}_{model._meta.model_name}"
    pages = [reverse(f"admin:{name}_changelist")]
    pages += [reverse(f"admin:{name}_change", args=[row.pk]) for row in model._default_manager.all()]
    statuses[name] = sorted({client.get(page, follow=True).status_code for page in pages})
    rows[name] = len(pages) - 1
before = Module.objects.get(name="orders").source_query
first = ModuleHistory.objects.filter(module__name="orders").order_by("pk").first()
client.post(reverse("admin:modules_modulehistory_changelist"), {"action": "restore", "_selected_action": [first.pk]})
after = Module.objects.get(name="orders").source_query
print(json.dumps({"statuses": statuses, "rows": rows, "before": before, "after": after}))
"""
SETTINGS = """
import json
from runs.models import Setting
from runs.models.setting import names
from runs.settings import current
row = Setting.objects.get()
print(json.dumps({
    **{name: getattr(current(), name) for name in names() if name not in row.invalid}, "invalid": row.invalid
}))
"""


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Copy the data directory to another place; its connections are led to the files of the copy."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    change(tmp_path / "pipekit.db", f"UPDATE connection SET jdbc_url = replace(jdbc_url, '{DIRECTORY}', '{tmp_path}')")
    return Install(tmp_path)


def expected(install: Install, name: str) -> str:
    """Return what the earlier version said, with the place of the copy."""
    return (install.data_dir / "expected" / name).read_text().replace(str(DIRECTORY), str(install.data_dir))


def shell(install: Install, script: str) -> Any:
    done = install.manage("shell", "--no-imports", "-c", script)
    assert done.code == 0, done.err
    return json.loads(done.out.splitlines()[-1])


def test_its_configuration_runs_logs_and_secrets_are_as_they_were(install: Install) -> None:
    exported = install.manage("exportconfig")
    assert "migrating" in exported.err
    assert exported.out == expected(install, "configuration.yaml")
    assert install.manage("runs", "--json").json == json.loads(expected(install, "runs.json"))
    assert install.manage("runlog", "1").out == expected(install, "log.txt")
    secrets = install.manage("secrets", "check")
    assert secrets.code == 0, secrets.out
    # all names are there, and the one that a connection needs is bound to where that leads
    assert secrets.out.splitlines()[0] == expected(install, "secrets.txt").splitlines()[0]


def test_its_settings_have_their_values(install: Install) -> None:
    assert install.manage("runs").code == 0
    assert shell(install, SETTINGS) == {
        "min_full_share": 0.4,
        "max_delete_share": 1,
        "run_retention_days": 36500,
        "log_retention_days": 30,
        "no_progress_timeout": 0,
        "heartbeat_seconds": 5,
        "run_log_megabytes": 50,
        "misfire_grace_hours": 6,
        "runs_per_tick": 30,
        "verify_statement_seconds": 20,
        "verify_statements_per_second": 5,
        "notification_addresses": ["ann@example.com", "ben@example.com"],
        "notify_every": 10,
        "notify_manual_runs": True,
        "late_after_hours": 26.5,
        "site_url": "https://etl.example.com",
        "webhook_url": "$HOOK_URL",
        "webhook_secret": "$HOOK_SECRET",
        "smtp_security": "tls",
        "smtp_username": "4711",
        "smtp_password": "$MAIL_PW",
        "invalid": {"lease_seconds": "long", "mails_per_hour": 3},
    }


def test_every_page_of_the_admin_opens_and_a_former_version_is_restored(install: Install) -> None:
    assert install.manage("runs").code == 0
    seen = shell(install, PAGES)
    assert {name: statuses for name, statuses in seen["statuses"].items() if statuses != [200]} == {}
    rows = {"modules_module": 3, "modules_modulehistory": 4, "runs_run": 6, "runs_verification": 2, "runs_setting": 1}
    assert {name: seen["rows"][name] for name in rows} == rows
    assert seen["before"] == "SELECT ID AS id, AMOUNT AS amount, NOTE AS note FROM ORDERS"
    assert seen["after"] == "SELECT ID AS id, AMOUNT AS amount FROM ORDERS"


@pytest.mark.parametrize(
    ("schedule", "hour", "minute", "zone", "weekdays"),
    [("nightly", 4, 0, "Europe/Berlin", range(7)), ("customers --verify", 6, 30, "America/New_York", [0])],
)
def test_its_schedules_go_on(
    install: Install, schedule: str, hour: int, minute: int, zone: str, weekdays: range | list[int]
) -> None:
    done = install.manage("schedule", *schedule.split(), "next", "--count", "2")
    assert done.code == 0, done.err
    times = [dt.datetime.fromisoformat(line).astimezone(zoneinfo.ZoneInfo(zone)) for line in done.out.split()]
    assert len(times) == 2
    assert {(time.hour, time.minute) for time in times} == {(hour, minute)}
    assert {time.weekday() for time in times} <= set(weekdays)


def test_a_module_continues_from_its_watermark(install: Install) -> None:
    change(install.data_dir / "files" / "erp.db", "INSERT INTO ORDERS VALUES (5, 50, 'fifth')")
    run = install.manage("runmodule", "orders", "--json")
    assert run.code == 0, run.err
    assert {key: run.json[key] for key in ("run", "read", "inserted")} == {"run": 7, "read": 1, "inserted": 1}
    assert run.json["watermarks"] == {"id": {"in": "4", "out": "5"}}
    verified = install.manage("verifymodule", "orders", "--json")
    assert (verified.code, verified.json["status"], verified.json["dest_rows"]) == (0, "equal", 5)
    # the verification that found a difference is repaired, and what is over stays protected
    repaired = install.manage("verifymodule", "customers", "--repair", "--json")
    assert (repaired.code, repaired.json["outcome"]) == (0, "repaired"), repaired.err
    with pytest.raises(sqlite3.IntegrityError, match="not rewritten"):
        change(install.data_dir / "pipekit.db", "UPDATE run_log SET read = 99 WHERE id = 1")

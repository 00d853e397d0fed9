"""Tests of an upgrade: the data directory of an earlier version is migrated, and everything in it still works.

`tests.acceptance.data_directory.make` created it, with the output of that version for comparison.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import sqlite3
import zoneinfo
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.data_directory.make import DIRECTORY, change, extract
from tests.processes.install import Install

pytestmark = pytest.mark.matrix

# requests the admin pages of all rows, and restores a former version of a module
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
from runs.models.setting import current_settings, names
row = Setting.objects.get()
print(json.dumps({
    **{name: getattr(current_settings(), name) for name in names() if name not in row.invalid}, "invalid": row.invalid
}))
"""


@pytest.fixture
def install(tmp_path: Path) -> Install:
    extract(tmp_path)
    return Install(tmp_path)


def expected(install: Install, name: str) -> str:
    """Return an output of the earlier version, with the paths of the extracted files."""
    return (install.data_dir / "expected" / name).read_text().replace(str(DIRECTORY), str(install.data_dir))


def shell(install: Install, script: str) -> Any:
    """Execute the script in `manage.py shell`; return the JSON that it prints."""
    result = install.manage("shell", "--no-imports", "-c", script)
    assert result.code == 0, result.err
    return json.loads(result.out.splitlines()[-1])


def test_configuration_runs_logs_and_secrets_are_unchanged(install: Install) -> None:
    exported = install.manage("exportconfig")
    assert "migrating" in exported.err
    # later versions have more keys
    known = re.sub(r"    (keep_previous|index_watermark): true\n", "", exported.out)
    assert known == expected(install, "configuration.yaml")
    for run, before in zip(
        install.manage("runs", "--json").json, json.loads(expected(install, "runs.json")), strict=True
    ):
        assert {key: run[key] for key in before} == before
    assert install.manage("runlog", "1").out == expected(install, "log.txt")
    secrets = install.manage("secrets", "check")
    assert secrets.code == 0, secrets.out
    # all names are there, and the secret that a connection uses is bound to the connection's host
    assert secrets.out.splitlines()[0] == expected(install, "secrets.txt").splitlines()[0]


def test_settings_keep_their_values(install: Install) -> None:
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


def test_every_page_of_the_admin_opens_and_a_former_version_of_a_module_can_be_restored(install: Install) -> None:
    assert install.manage("runs").code == 0
    results = shell(install, PAGES)
    assert {name: statuses for name, statuses in results["statuses"].items() if statuses != [200]} == {}
    rows = {"modules_module": 3, "modules_modulehistory": 4, "runs_run": 6, "runs_verification": 2, "runs_setting": 1}
    assert {name: results["rows"][name] for name in rows} == rows
    assert results["before"] == "SELECT ID AS id, AMOUNT AS amount, NOTE AS note FROM ORDERS"
    assert results["after"] == "SELECT ID AS id, AMOUNT AS amount FROM ORDERS"


@pytest.mark.parametrize(
    ("schedule", "hour", "minute", "zone", "weekdays"),
    [("nightly", 4, 0, "Europe/Berlin", range(7)), ("customers --verify", 6, 30, "America/New_York", [0])],
)
def test_schedules_keep_their_times_and_time_zones(
    install: Install, schedule: str, hour: int, minute: int, zone: str, weekdays: range | list[int]
) -> None:
    result = install.manage("schedule", *schedule.split(), "next", "--count", "2")
    assert result.code == 0, result.err
    times = [dt.datetime.fromisoformat(line).astimezone(zoneinfo.ZoneInfo(zone)) for line in result.out.split()]
    assert len(times) == 2
    assert {(time.hour, time.minute) for time in times} == {(hour, minute)}
    assert {time.weekday() for time in times} <= set(weekdays)


def test_the_crontab_line_of_that_version_ticks(install: Install) -> None:
    # nothing is to be started
    change(install.data_dir / "pipekit.db", "UPDATE schedule SET enabled = 0")
    # the hash of its entry, as its installcron wrote it
    result = install.manage("crontab", "run", "5bcbb274f51d6b5edeb315b1aba8c9e4", "--settings=pipekit_site.settings")
    assert (result.code, result.out) == (0, "")
    assert shell(install, "from scheduling.models import Tick\nprint(Tick.objects.filter(error='').count())") == 1


def test_a_module_continues_from_its_watermark_and_can_be_verified_and_repaired(install: Install) -> None:
    change(install.data_dir / "files" / "erp.db", "INSERT INTO ORDERS VALUES (5, 50, 'fifth')")
    run = install.manage("runmodule", "orders", "--json")
    assert run.code == 0, run.err
    assert {key: run.json[key] for key in ("run", "read", "inserted")} == {"run": 7, "read": 1, "inserted": 1}
    assert run.json["watermarks"] == {"id": {"in": "4", "out": "5"}}
    verification = install.manage("verifymodule", "orders", "--json")
    assert (verification.code, verification.json["status"], verification.json["dest_rows"]) == (0, "equal", 5)
    repair = install.manage("verifymodule", "customers", "--repair", "--json")
    assert (repair.code, repair.json["outcome"]) == (0, "repaired"), repair.err
    # runs that have ended cannot be changed
    with pytest.raises(sqlite3.IntegrityError, match="not rewritten"):
        change(install.data_dir / "pipekit.db", "UPDATE run_log SET read = 99 WHERE id = 1")

"""Tests of the migration of settings from keys and values, as earlier versions stored them, to one row."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.processes.install import Install

BEFORE = "0008_verification_compared"
# the value of each key as earlier versions stored it, and whether it is valid
STORED: dict[str, tuple[Any, bool]] = {
    "min_full_share": (0, True),
    "max_delete_share": (0.25, True),
    "run_retention_days": (7, True),
    "log_retention_days": (1.5, False),
    "no_progress_timeout": (0, True),
    "heartbeat_seconds": (True, False),
    "lease_seconds": ("60", False),
    "run_log_megabytes": (10**12, False),
    "notification_addresses": (["ann@example.com"], True),
    "notify_manual_runs": (1, False),
    "late_after_hours": (24, True),
    "site_url": ("", True),
    "webhook_url": ("http://127.0.0.1/hook?token=1", True),
    "webhook_secret": ("literal", False),
    "smtp_security": ("tls", True),
    "smtp_username": ("4711", True),
    "mails_per_hour": ({"a": [1]}, False),
    "id": (5, False),
    # null meant the default
    "notify_every": (None, True),
}
INSERT = "INSERT INTO settings (key, value, unrestricted, created_at, updated_at) VALUES ({})"
NOW = "2026-11-29 12:00:00+00:00"


def check(row: dict[str, Any]) -> None:
    """Assert that every stored value is in the row: in its column, or among the invalid values."""
    values = {**row, "invalid": _parsed(row["invalid"])}
    values["notification_addresses"] = _parsed(row["notification_addresses"])
    assert values["invalid"] == {name: value for name, (value, is_valid) in STORED.items() if not is_valid}
    for name, (value, is_valid) in STORED.items():
        if is_valid and value is not None:
            assert values[name] == value, name
    # the defaults of settings that were not stored or are invalid
    assert (row["notify_every"], row["lease_seconds"], row["webhook_secret"]) == (10, 60, "")
    assert row["webhook_unrestricted"]


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


@pytest.mark.matrix
def test_no_stored_value_is_lost_on_sqlite(tmp_path: Path) -> None:
    install = Install(tmp_path)
    assert install.manage("migrate", "runs", BEFORE, "--verbosity", "0").code == 0
    with closing(sqlite3.connect(tmp_path / "pipekit.db")) as database, database:
        rows = [(name, json.dumps(value), name == "webhook_url", NOW, NOW) for name, (value, _) in STORED.items()]
        database.executemany(INSERT.format("?, ?, ?, ?, ?"), rows)
    migrated = install.manage("migrate", "--verbosity", "0")
    assert migrated.code == 0, migrated.err
    with closing(sqlite3.connect(tmp_path / "pipekit.db")) as database:
        database.row_factory = sqlite3.Row
        (row,) = database.execute("SELECT * FROM settings").fetchall()
        check(dict(row))


@pytest.mark.matrix
@pytest.mark.matrix
def test_no_stored_value_is_lost_on_postgresql(database_url: str, tmp_path: Path) -> None:
    install = Install(tmp_path, database_url)
    assert install.manage("migrate", "runs", BEFORE, "--verbosity", "0").code == 0
    with psycopg.connect(database_url, autocommit=True) as database, database.cursor() as cursor:
        rows = [(name, json.dumps(value), name == "webhook_url", NOW, NOW) for name, (value, _) in STORED.items()]
        cursor.executemany(INSERT.format("%s, %s, %s, %s, %s"), rows)
    migrated = install.manage("migrate", "--verbosity", "0")
    assert migrated.code == 0, migrated.err
    with psycopg.connect(database_url, row_factory=dict_row) as migrated_database:
        (row,) = migrated_database.execute("SELECT * FROM settings").fetchall()
        check(row)


@pytest.mark.matrix
def test_there_is_no_row_in_an_installation_with_default_settings(tmp_path: Path) -> None:
    install = Install(tmp_path)
    assert install.manage("migrate", "--verbosity", "0").code == 0
    with closing(sqlite3.connect(tmp_path / "pipekit.db")) as database:
        assert database.execute("SELECT count(*) FROM settings").fetchone() == (0,)

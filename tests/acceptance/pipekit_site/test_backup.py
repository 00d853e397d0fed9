"""Tests of the command `backup`: a backup is complete, consistent during writes and private, and replaces no file."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from pipekit_site.metadata import backup
from tests.processes.commands import wait_until
from tests.processes.install import Install

# both tables get a row in one transaction, so they have the same number of rows in every consistent copy
WRITER = """
import time
from django.db import transaction
from modules.models import Group
from runs.models import GroupRun
number, end = 0, time.monotonic() + 600
while time.monotonic() < end:
    with transaction.atomic():
        group = Group.objects.create(name=f"g{number}")
        time.sleep(0.001)
        GroupRun.objects.create(group_name=group.name, status="success", actor="x" * 200)
    number += 1
    if number == 20:
        print("ready", flush=True)
"""


def rows(file: Path) -> tuple[int, int]:
    """Return the number of groups and of group runs in a metadata database."""
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
        groups = database.execute("SELECT count(*) FROM grp").fetchone()[0]
        return groups, database.execute("SELECT count(*) FROM group_run").fetchone()[0]


@pytest.fixture
def install(tmp_path: Path) -> Install:
    install = Install(tmp_path / "var")
    result = install.manage("migrate", "--verbosity", "0")
    assert result.code == 0, result.err
    return install


@pytest.mark.matrix
def test_a_backup_during_writes_is_consistent_and_can_be_restored(install: Install, tmp_path: Path) -> None:
    metadata = install.data_dir / "pipekit.db"
    with install.start("shell", "--no-imports", "-c", WRITER) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            before = rows(metadata)
            result = install.manage("backup")
            assert (result.code, result.err) == (0, "")
            backup = Path(result.out.strip())
            # the writer has written before, during and after the backup
            wait_until(lambda: rows(metadata)[0] > rows(backup)[0])
        finally:
            writer.kill()
    assert (backup.parent, backup.stat().st_mode & 0o777) == (install.data_dir / "backups", 0o600)
    assert [file.name for file in backup.parent.iterdir()] == [backup.name]
    groups, group_runs = rows(backup)
    assert 20 <= before[0] <= groups == group_runs

    restored = tmp_path / "restored"
    restored.mkdir()
    backup.rename(restored / "pipekit.db")
    doctor = Install(restored).manage("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(doctor.out)["checks"]}
    assert checks["metadata database"]["ok"], checks["metadata database"]
    assert checks["migrations"]["ok"]
    assert rows(restored / "pipekit.db") == (groups, group_runs)


@pytest.mark.django_db(transaction=True)
@pytest.mark.sqlite_metadata
def test_a_backup_is_written_to_the_given_path_and_replaces_no_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.db"
    call_command("backup", str(file))
    before = file.read_bytes()
    assert before.startswith(b"SQLite format 3")
    with pytest.raises(CommandError, match="exists already, and is not replaced") as refused:
        call_command("backup", str(file))
    assert refused.value.returncode == 2
    assert file.read_bytes() == before
    call_command("backup", str(tmp_path))
    assert len(list(tmp_path.glob("pipekit-*Z.db"))) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.sqlite_metadata
@pytest.mark.parametrize("has_links", [True, False])
def test_a_backup_does_not_replace_a_file_that_appears_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    file, copy = tmp_path / "mine.db", backup._copy

    def slow_copy(database: Path, unfinished: Path) -> None:
        copy(database, unfinished)
        file.write_text("of another program")

    def no_links(*paths: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(backup, "_copy", slow_copy)
    if not has_links:
        monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(CommandError, match="exists already, and is not replaced") as refused:
        call_command("backup", str(file))
    assert refused.value.returncode == 2
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"mine.db": "of another program"}
    monkeypatch.setattr(backup, "_copy", copy)
    call_command("backup", str(tmp_path / "next.db"))
    assert rows(tmp_path / "next.db") == (0, 0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.sqlite_metadata
def test_a_backup_that_cannot_be_written_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="There is no directory") as refused:
        call_command("backup", str(tmp_path / "missing" / "x.db"))
    assert refused.value.returncode == 2
    with pytest.raises(CommandError, match="could not be written") as failed:
        call_command("backup", "/proc/pipekit.db")
    assert failed.value.returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_a_backup_fails_if_the_metadata_file_is_gone(tmp_path: Path) -> None:
    result = Install(tmp_path).manage("backup")
    assert (result.code, result.out) == (1, "")
    assert f"{tmp_path / 'pipekit.db'} is empty" in result.err and "code:  metadata_unavailable" in result.err
    assert list((tmp_path / "backups").iterdir()) == []


def test_a_backup_of_metadata_in_postgresql_is_refused_in_favour_of_pg_dump(tmp_path: Path) -> None:
    # also if the server is down
    result = Install(tmp_path).manage("backup", PIPEKIT_DATABASE="postgresql://127.0.0.1:1/metadata")
    assert (result.code, result.out) == (2, "")
    assert "pg_dump" in result.err
    assert not (tmp_path / "backups").exists()

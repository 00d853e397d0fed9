"""The locks of an installation: other users cannot hold them, and a tick that hangs is reported."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from connections.sdk.errors import PermissionDenied
from connections.sdk.files.lock import LockHeld, file_lock, install_lock
from connections.secrets import file as secrets_file
from pipekit_site.metadata import migrate
from scheduling import loop
from scheduling.tick import lock
from scheduling.tick.tick import tick_and_housekeeping
from tests.processes.commands import exit_code

DATA_DIR = Path(settings.PIPEKIT.data_dir)
# locks every file and directory that the user may open
LOCK_EVERYTHING = """
import fcntl, os, sys, time
for place, _, names in os.walk(sys.argv[1]):
    for name in [".", *names]:
        try:
            fcntl.flock(os.open(os.path.join(place, name), os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pass
print("held", flush=True)
time.sleep(60)
"""
Captured = pytest.CaptureFixture[str]


@contextmanager
def locked_by_another_user(directory: Path) -> Iterator[None]:
    argv = ["/usr/bin/env", "python3", "-I", "-c", LOCK_EVERYTHING, str(directory)]
    process = subprocess.Popen(argv, user=65534, group=65534, extra_groups=[], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout and process.stdout.readline() == "held\n"
        yield
    finally:
        process.kill()
        process.communicate()


def take_lock(file: Path, seconds: float) -> int:
    """Take the lock as if this process had held it for so many seconds; return the file descriptor."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()} {time.monotonic() - seconds:.0f}\n".encode(), 0)
    return descriptor


@pytest.fixture
def hanging_tick() -> Iterator[None]:
    """Hold the lock of the tick as one that has been running for 15 minutes."""
    with install_lock(DATA_DIR, "tick"):
        pass
    descriptor = take_lock(DATA_DIR / "locks" / "tick.lock", seconds=900)
    yield
    os.close(descriptor)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
@pytest.mark.django_db
def test_another_user_cannot_block_ticks_migrations_or_the_secrets_file(tmp_path: Path, capsys: Captured) -> None:
    # other users may enter and list the directory
    DATA_DIR.chmod(0o755)
    (DATA_DIR / "open").mkdir(exist_ok=True)
    secrets_file.write(DATA_DIR / "open" / "secrets.env", "A", "1")
    try:
        with locked_by_another_user(DATA_DIR):
            with lock.only_tick() as acquired:
                assert acquired
            with migrate._lock():
                pass
            secrets_file.write(DATA_DIR / "open" / "secrets.env", "B", "2")
    finally:
        DATA_DIR.chmod(0o711)


def test_lock_files_and_their_directory_are_private(tmp_path: Path) -> None:
    with install_lock(tmp_path, "x"):
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "locks", tmp_path / "locks" / "x.lock")]
        assert modes == [0o700, 0o600]
        with pytest.raises(LockHeld) as refused, install_lock(tmp_path, "x"):
            pass
        assert refused.value.holder and refused.value.holder.pid == os.getpid()


@pytest.mark.parametrize("where", ["locks", "locks/x.lock"])
def test_a_symbolic_link_in_place_of_a_lock_is_not_followed(where: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("untouched")
    (tmp_path / where).parent.mkdir(exist_ok=True)
    (tmp_path / where).symlink_to(tmp_path / "elsewhere" / ("file" if "/" in where else ""))
    with pytest.raises((PermissionDenied, OSError)), install_lock(tmp_path, "x"):
        pass
    assert (tmp_path / "elsewhere" / "file").read_text() == "untouched"
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["file"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_lock_created_by_root_belongs_to_the_owner_of_the_data_directory(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    with install_lock(tmp_path, "x"):
        assert {path.stat().st_uid for path in (tmp_path / "locks", tmp_path / "locks" / "x.lock")} == {65534}
    with file_lock(tmp_path / "locks" / "x.lock"):
        pass


@pytest.mark.django_db(transaction=True)
def test_the_tick_command_fails_and_reports_another_tick_that_hangs(hanging_tick: None, capsys: Captured) -> None:
    assert exit_code("tick") == 4
    error = capsys.readouterr().err
    assert f"(process {os.getpid()}) has been running for 15 minutes" in error and f"kill {os.getpid()}" in error


@pytest.mark.django_db(transaction=True)
def test_the_scheduler_reports_a_tick_that_hangs(hanging_tick: None) -> None:
    messages: list[str] = []
    loop._tick(messages.append)
    assert "has been running for 15 minutes" in messages[0]


@pytest.mark.django_db(transaction=True)
def test_a_tick_started_by_cron_fails_while_another_hangs(hanging_tick: None) -> None:
    code = "import django; django.setup(); from scheduling.tick import tick; tick.cron_tick()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=settings.BASE_DIR)
    assert done.returncode == 4
    assert "has been running for 15 minutes" in done.stderr


@pytest.mark.django_db(transaction=True)
def test_a_tick_that_finds_another_just_started_does_nothing_and_does_not_fail() -> None:
    with lock.only_tick():
        assert tick_and_housekeeping(timezone.now()) is None

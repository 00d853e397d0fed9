"""The locks of an install: nobody else on the machine can hold one, and a tick that hangs is noticed."""

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
from scheduling.tick import lock, tick
from tests.processes.commands import exit_code

DATA_DIR = Path(settings.PIPEKIT.data_dir)
# any file or directory of an install that a stranger may open, held for as long as the test
STRANGER = """
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
def stranger(directory: Path) -> Iterator[None]:
    words = ["/usr/bin/env", "python3", "-I", "-c", STRANGER, str(directory)]
    process = subprocess.Popen(words, user=65534, group=65534, extra_groups=[], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout and process.stdout.readline() == "held\n"
        yield
    finally:
        process.kill()
        process.communicate()


def hold(file: Path, since: float) -> int:
    """Hold a lock as a tick that has hung since then."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    os.truncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()} {time.monotonic() - since:.0f}\n".encode(), 0)
    return handle


@pytest.fixture
def hanging() -> Iterator[None]:
    with install_lock(DATA_DIR, "tick"):
        pass
    handle = hold(DATA_DIR / "locks" / "tick.lock", since=900)
    yield
    os.close(handle)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
@pytest.mark.django_db
def test_another_user_who_locks_whatever_he_may_open_stops_neither_ticks_nor_migrations_nor_secrets(
    tmp_path: Path, capsys: Captured
) -> None:
    # the default of data directories: others may pass through, some can even list them
    DATA_DIR.chmod(0o755)
    (DATA_DIR / "open").mkdir(exist_ok=True)
    secrets_file.write(DATA_DIR / "open" / "secrets.env", "A", "1")
    try:
        with stranger(DATA_DIR):
            with lock.only_tick() as first:
                assert first
            with migrate._lock():
                pass
            secrets_file.write(DATA_DIR / "open" / "secrets.env", "B", "2")
    finally:
        DATA_DIR.chmod(0o711)


def test_locks_lie_in_a_private_directory_of_our_own(tmp_path: Path) -> None:
    with install_lock(tmp_path, "x"):
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "locks", tmp_path / "locks" / "x.lock")]
        assert modes == [0o700, 0o600]
        with pytest.raises(LockHeld) as held, install_lock(tmp_path, "x"):
            pass
        assert held.value.holder and held.value.holder.pid == os.getpid()


@pytest.mark.parametrize("where", ["locks", "locks/x.lock"])
def test_a_link_in_place_of_a_lock_is_not_followed(where: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("untouched")
    (tmp_path / where).parent.mkdir(exist_ok=True)
    (tmp_path / where).symlink_to(tmp_path / "elsewhere" / ("file" if "/" in where else ""))
    with pytest.raises((PermissionDenied, OSError)), install_lock(tmp_path, "x"):
        pass
    assert (tmp_path / "elsewhere" / "file").read_text() == "untouched"
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["file"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_lock_that_root_has_made_is_its_users(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    with install_lock(tmp_path, "x"):
        assert {path.stat().st_uid for path in (tmp_path / "locks", tmp_path / "locks" / "x.lock")} == {65534}
    with file_lock(tmp_path / "locks" / "x.lock"):
        pass


@pytest.mark.django_db(transaction=True)
def test_a_tick_that_finds_another_hanging_says_so_and_fails(hanging: None, capsys: Captured) -> None:
    assert exit_code("tick") == 4
    said = capsys.readouterr().err
    assert f"(process {os.getpid()}) has been running for 15 minutes" in said and f"kill {os.getpid()}" in said


@pytest.mark.django_db(transaction=True)
def test_the_scheduler_says_so_too(hanging: None) -> None:
    told: list[str] = []
    loop._tick(told.append)
    assert "has been running for 15 minutes" in told[0]


@pytest.mark.django_db(transaction=True)
def test_cron_sees_that_its_tick_failed(hanging: None) -> None:
    code = "import django; django.setup(); from scheduling.tick import tick; tick.cron_tick()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=settings.BASE_DIR)
    assert done.returncode == 4
    assert "has been running for 15 minutes" in done.stderr


@pytest.mark.django_db(transaction=True)
def test_a_tick_beside_a_young_one_is_no_failure() -> None:
    with lock.only_tick():
        assert tick.tick_alone(timezone.now()) is None

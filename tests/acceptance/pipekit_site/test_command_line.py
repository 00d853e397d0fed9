"""Every command of manage.py: streams that are closed or full, Ctrl+C, and what nobody foresaw; never a traceback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from connections.management.base import CommandFailed
from pipekit_site.config.config import BASE_DIR
from tests.acceptance.pipekit_site.test_start_up import environment, manage
from tests.processes.commands import start_anew

# real processes, many of them
pytestmark = pytest.mark.matrix


def start(data_dir: Path, *words: str, **settings: Any) -> subprocess.Popen[str]:
    return start_anew(words, environment(data_dir), text=True, **settings)


def guarded(statement: str, *words: str) -> subprocess.CompletedProcess[str]:
    code = f"from pipekit_site.cli import command_line\nwith command_line.guarded():\n    {statement}"
    argv = [sys.executable, "-c", code, *words]
    return subprocess.run(argv, cwd=BASE_DIR, capture_output=True, text=True, timeout=60, check=False)


def test_ctrl_c_ends_a_command_without_a_traceback(tmp_path: Path) -> None:
    process = start(tmp_path, "runs")
    assert process.stderr is not None
    # it is in the middle of making its database
    assert "migrating it" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert manage(tmp_path, "runs").returncode == 0


def test_a_reader_that_goes_away_ends_a_listing_without_a_word(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    process = start(tmp_path, "exportconfig", stdout=write)
    os.close(write)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (0, 130)
    assert "Traceback" not in err and "Exception" not in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no /dev/full")
def test_a_listing_that_there_is_no_room_for_is_one_clear_error(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        process = start(tmp_path, "exportconfig", stdout=full)
        _, err = process.communicate(timeout=60)
    assert "No space left on device" in err
    assert "Traceback" not in err


def test_a_file_that_cannot_be_used_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "locks" / "migrate.lock").mkdir(parents=True)
    done = manage(tmp_path, "runs")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}/locks/migrate.lock: Is a directory.\nfix:   ")


def test_what_nobody_foresaw_is_one_line_that_shows_no_password() -> None:
    done = guarded("raise ValueError('postgresql://etl:hunter2@host/dw')")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: Pipekit failed unexpectedly: ValueError: postgresql://etl:***@host/dw")
    assert "hunter2" not in done.stderr and "Traceback" not in done.stderr


def test_traceback_shows_where_it_was() -> None:
    assert "Traceback" in guarded("raise ValueError", "--traceback").stderr


def test_an_unknown_command_is_wrong_usage(tmp_path: Path) -> None:
    done = manage(tmp_path, "runmodul", "x")
    assert done.returncode == 2
    assert "Did you mean runmodule?" in done.stderr


def test_the_machines_encoding_changes_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "secrets", "check"],
        cwd=BASE_DIR,
        env=environment(tmp_path, PYTHONIOENCODING="ascii", LC_ALL="C"),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.startswith("✔ secrets file".encode())


@pytest.mark.django_db
def test_serve_on_a_port_that_is_taken_says_which_fix_there_is() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(CommandFailed, match="cannot listen on 127.0.0.1") as failed:
            call_command("serve", port=taken.getsockname()[1])
    assert (failed.value.returncode, failed.value.details["code"]) == (2, "address_in_use")
    assert failed.value.details["hint"] == "Choose another with --port or api_port."

"""Tests of all commands: closed and full output streams, Ctrl+C and unexpected errors never cause a traceback."""

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
from tests.processes.commands import start_in_new_interpreter
from tests.processes.install import Install

# each test starts several processes
pytestmark = pytest.mark.matrix


def start(data_dir: Path, *words: str, **settings: Any) -> subprocess.Popen[str]:
    return start_in_new_interpreter(words, Install(data_dir).environment(), text=True, **settings)


def guarded(statement: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Execute a Python statement in a new process, with the error handling of manage.py."""
    code = f"from pipekit_site.cli import command_line\nwith command_line.guarded():\n    {statement}"
    argv = [sys.executable, "-c", code, *words]
    return subprocess.run(argv, cwd=BASE_DIR, capture_output=True, text=True, timeout=60, check=False)


def test_ctrl_c_ends_a_command_without_a_traceback(tmp_path: Path) -> None:
    process = start(tmp_path, "runs")
    assert process.stderr is not None
    # it is creating its database
    assert "migrating it" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert Install(tmp_path).manage("runs").code == 0


def test_a_command_whose_stdout_is_closed_ends_without_a_traceback(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    process = start(tmp_path, "exportconfig", stdout=write)
    os.close(write)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (0, 130)
    assert "Traceback" not in err and "Exception" not in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no /dev/full")
def test_output_to_a_full_device_is_an_error_without_a_traceback(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        process = start(tmp_path, "exportconfig", stdout=full)
        _, err = process.communicate(timeout=60)
    assert "No space left on device" in err
    assert "Traceback" not in err


def test_a_file_that_cannot_be_opened_is_named_in_an_error_with_a_fix(tmp_path: Path) -> None:
    (tmp_path / "locks" / "migrate.lock").mkdir(parents=True)
    result = Install(tmp_path).manage("runs")
    assert result.code == 1
    assert result.err.startswith(f"error: {tmp_path}/locks/migrate.lock: Is a directory.\nfix:   ")


def test_an_unexpected_error_is_one_line_without_passwords() -> None:
    result = guarded("raise ValueError('postgresql://etl:hunter2@host/dw')")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("error: Pipekit failed unexpectedly: ValueError: postgresql://etl:***@host/dw")
    assert "hunter2" not in result.stderr and "Traceback" not in result.stderr


def test_the_option_traceback_prints_the_traceback_of_an_unexpected_error() -> None:
    assert "Traceback" in guarded("raise ValueError", "--traceback").stderr


def test_an_unknown_command_exits_with_2_and_a_similar_one_is_suggested(tmp_path: Path) -> None:
    result = Install(tmp_path).manage("runmodul", "x")
    assert result.code == 2
    assert "Did you mean runmodule?" in result.err


def test_output_is_utf_8_whatever_the_encoding_of_the_machine(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "manage.py", "secrets", "check"],
        cwd=BASE_DIR,
        env=Install(tmp_path).environment(PYTHONIOENCODING="ascii", LC_ALL="C"),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert result.stdout.startswith("✔ secrets file".encode())


@pytest.mark.django_db
def test_serve_on_a_port_in_use_fails_with_a_hint() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with pytest.raises(CommandFailed, match="cannot listen on 127.0.0.1") as failed:
            call_command("serve", port=listener.getsockname()[1])
    assert (failed.value.returncode, failed.value.details["code"]) == (2, "address_in_use")
    assert failed.value.details["hint"] == "Choose another with --port or api_port."

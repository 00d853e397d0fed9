"""Processes with secrets in memory leave no core dump, and other processes can still tell whether they are alive."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipekit_site.config.config import BASE_DIR
from runs.process import identity
from tests.processes.commands import wait_until

# prints a line after start-up, and waits
WAIT = "import os, time; print('up', flush=True); time.sleep(60)"
SERVER = f"import pipekit_site.{{}}; {WAIT}"
PROGRAMS = {
    "a command": ["manage.py", "shell", "--no-imports", "-c", WAIT],
    "asgi": ["-c", SERVER.format("asgi")],
    "wsgi": ["-c", SERVER.format("wsgi")],
    "jrunner": ["-c", f"from runs.jrunner import command; command.isolate(); {WAIT}"],
}


def start(words: Sequence[str], data_dir: Path) -> subprocess.Popen[str]:
    """Start a program with an unlimited size of core dumps; return when it has printed its line."""
    words = [str(BASE_DIR / word) if word == "manage.py" else word for word in words]
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=data_dir,
        env={**os.environ, "PIPEKIT_DATA_DIR": str(data_dir), "PYTHONPATH": str(BASE_DIR)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)),
    )
    assert process.stdout
    while (line := process.stdout.readline()) != "up\n":
        assert line, process.stderr and process.stderr.read()
    return process


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_process_leaves_no_core_dump_and_is_considered_alive_until_it_ends(program: str, tmp_path: Path) -> None:
    process = start(PROGRAMS[program], tmp_path)
    try:
        limits = Path(f"/proc/{process.pid}/limits").read_text().splitlines()
        assert [line.split()[4:6] for line in limits if line.startswith("Max core file size")] == [["0", "0"]]
        identified = identity.of_pid(process.pid)
        assert identified.is_here() and not identified.is_dead()
        process.send_signal(signal.SIGQUIT)
        wait_until(lambda: process.poll() is not None)
        assert process.returncode == -signal.SIGQUIT
        assert identified.is_dead()
        assert not list(tmp_path.glob("core*"))
    finally:
        process.kill()
        process.communicate()


def test_keep_private_makes_the_process_not_dumpable() -> None:
    code = (
        "import ctypes; from connections.sdk.process_memory import keep_private; keep_private();"
        " print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=BASE_DIR, capture_output=True, text=True, check=True)
    assert result.stdout == "0\n"

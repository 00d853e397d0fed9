"""Commands as scripts use them: processes of their own, waited for or not, and what they leave behind."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from django.core.management import call_command, get_commands, load_command_class

from tests.processes import warm

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def manage(*arguments: str, **environment: str) -> Done:
    process = start(*arguments, **environment)
    out, err = process.communicate(timeout=180)
    return Done(process.returncode, out, err)


def called(*arguments: str) -> Done:
    """Call a command in this process, with the output and the exit code that it has on a command line."""
    out, err = io.StringIO(), io.StringIO()
    code = exit_code(*arguments, stdout=out, stderr=err)
    return Done(code, out.getvalue(), err.getvalue())


def exit_code(name: str, *arguments: str, **streams: Any) -> int:
    """Call a command in this process as from a command line, and return its exit code."""
    command = load_command_class(get_commands()[name], name)
    command._called_from_command_line = True  # type: ignore[attr-defined]
    try:
        call_command(command, *arguments, **streams)
    except SystemExit as ended:
        return int(str(ended.code))
    return 0


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    settings = {**os.environ, "DJANGO_SETTINGS_MODULE": "pipekit_site.settings", **environment}
    return warm.manage(arguments, env=settings)


def wait_until(true: Callable[[], object], *, seconds: float = 120) -> None:
    """Wait until something is true; the limit only keeps a test from hanging: a busy machine is slow, not wrong."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def alive(pid: int | None) -> bool:
    """Whether a process is there and is no zombie."""
    return _state(pid) not in "ZX"


def go_on(pid: int | None) -> None:
    """Wait until a process has stopped itself, as the fault "stop" does, and let it go on."""
    assert pid is not None
    wait_until(lambda: stopped(pid))
    os.kill(pid, signal.SIGCONT)


def stopped(pid: int | None) -> bool:
    return _state(pid) == "T"


def _state(pid: int | None) -> str:
    """Return the state of a process as the kernel abbreviates it: Z for a zombie, X for one that is not there."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        # the latter when it is gone between opening and reading
        return "X"


def backends(url: str) -> int:
    """How many sessions other than our own the database has."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        ).fetchone()
    assert row
    return int(row[0])

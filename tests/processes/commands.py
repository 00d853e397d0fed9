"""Runs `manage.py` commands, in processes of their own or in this one, and inspects processes and sessions."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from django.core.management import call_command, get_commands, load_command_class

from connections.sdk.parameters import ConnectionParameters
from tests.harness.kept_sessions import APPLICATION_NAME, session_for
from tests.processes import warm

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def manage(*arguments: str, **environment: str) -> CommandResult:
    """Run a command to its end in a process of its own."""
    process = start(*arguments, **environment)
    out, err = process.communicate(timeout=180)
    return CommandResult(process.returncode, out, err)


def call(*arguments: str) -> CommandResult:
    """Call a command in this process; return the exit code and the output that it has on a command line."""
    out, err = io.StringIO(), io.StringIO()
    code = exit_code(*arguments, stdout=out, stderr=err)
    return CommandResult(code, out.getvalue(), err.getvalue())


def exit_code(name: str, *arguments: str, **streams: Any) -> int:
    """Call a command in this process as from a command line; return its exit code."""
    command = load_command_class(get_commands()[name], name)
    command._called_from_command_line = True  # type: ignore[attr-defined]
    try:
        call_command(command, *arguments, **streams)
    except SystemExit as error:
        return int(str(error.code))
    return 0


def start_in_new_interpreter(words: Sequence[str], env: Mapping[str, str], **options: Any) -> subprocess.Popen[Any]:
    """Start a command in a new interpreter, for tests of the start of a process and of settings."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen([sys.executable, str(ROOT / "manage.py"), *words], cwd=ROOT, env=dict(env), **options)


def run_in_new_interpreter(
    words: Sequence[str], env: Mapping[str, str], *, stdin: bytes = b"", text: bool = True
) -> subprocess.CompletedProcess[Any]:
    """Run a command to its end in a new interpreter."""
    process = start_in_new_interpreter(words, env, stdin=subprocess.PIPE, text=text)
    out, err = process.communicate(stdin.decode() if text else stdin, timeout=180)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start a command in a process of its own."""
    settings = {**os.environ, "DJANGO_SETTINGS_MODULE": "pipekit_site.settings", **environment}
    return warm.manage(arguments, env=settings)


def wait_until(condition: Callable[[], object], *, seconds: float = 120) -> None:
    """Wait until the condition is true. The time limit is long, so that tests also pass under load."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not true after {seconds} seconds"
        time.sleep(0.05)


def alive(pid: int | None) -> bool:
    """Return whether the process exists and is not a zombie."""
    return _state(pid) not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)


def resume_when_stopped(pid: int | None) -> None:
    """Wait until the process has stopped itself, as the fault "stop" does, and resume it."""
    assert pid is not None
    wait_until(lambda: stopped(pid))
    os.kill(pid, signal.SIGCONT)


def stopped(pid: int | None) -> bool:
    """Return whether a signal has stopped the process."""
    return _state(pid) == psutil.STATUS_STOPPED


def _state(pid: int | None) -> str:
    """Return psutil's name of the state of a process; dead if it does not exist."""
    try:
        return psutil.Process(pid).status()
    except psutil.NoSuchProcess:
        return psutil.STATUS_DEAD


def is_jrunner(pid: int) -> bool:
    """Return whether the process exists and is a jrunner."""
    try:
        return "runs.jrunner" in psutil.Process(pid).cmdline()
    except psutil.NoSuchProcess:
        return False


def backends(url: str) -> int:
    """Return the number of the database's sessions, except for those that tests keep."""
    sql = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend' AND application_name <> %s"
    )
    with session_for(ConnectionParameters(kind="postgresql", url=url)) as session:
        return int(session.fetch(sql, (APPLICATION_NAME,))[0][0])

"""Starts `python manage.py ...` and modules such as `runs.jrunner` by forking a process that has imported theirs.

Most of the time of a short command is spent on importing Django and the drivers. A warm process does that once per
session and forks for each command. The command is a process of its own, with its arguments, environment, streams,
signals and exit code; only what Python, libraries or settings read from the environment when they are imported is not
read again. If only Django's and Pipekit's variables differ, as in an install with a data directory of its own, the
forked process has imported modules that do not read them; if others differ, a new interpreter is started. Tests of the
start of a process start new interpreters.
"""

from __future__ import annotations

import atexit
import functools
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.processes.forked import Forked

ROOT = Path(__file__).resolve().parents[2]
_MANAGE = str(ROOT / "manage.py")
# prefixes of variables that are read when Python and libraries, or Django's and Pipekit's settings, are imported
_READ_BY_LIBRARIES = ("PYTHON", "LC_", "LANG", "TZ", "PG", "SSL_", "ARROW_")
_READ_BY_SETTINGS = ("DJANGO_SETTINGS_MODULE", "PIPEKIT_")
# variables with these prefixes that are read later
_READ_LATER = ("PIPEKIT_FAULTS", "PIPEKIT_FAULT_LOG")
_START_LOCK = threading.Lock()


def manage(words: Sequence[str], *, env: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start `python manage.py` with these words; its outputs are pipes."""
    return _start(_MANAGE, words, env=env, stdin=subprocess.DEVNULL)


def jrunner(words: Sequence[str], *, env: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start `python -m runs.jrunner` with these words; all its streams are pipes."""
    return _start("runs.jrunner", words, env=env, stdin=subprocess.PIPE)


def run_plan(plan: Path, *, env: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start a process that reads a plan from a file (see `tests.processes.run_plan`); its outputs are pipes."""
    return _start("tests.processes.run_plan", [str(plan)], env=env, stdin=subprocess.DEVNULL)


def _start(program: str, words: Sequence[str], *, env: Mapping[str, str], stdin: int) -> subprocess.Popen[str]:
    warm = _warm(program, env)
    if warm is not None:
        return Forked(warm, program, words, env=env, stdin=stdin)
    argv = [sys.executable, *([program] if program.endswith(".py") else ["-m", program]), *words]
    return subprocess.Popen(
        argv, cwd=ROOT, env=env, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        encoding="utf-8",
    )  # fmt: skip


def _warm(program: str, env: Mapping[str, str]) -> socket.socket | None:
    """Return the socket of the warm process for the program; None if libraries would read another environment."""
    if sys.platform != "linux":
        return None
    with _START_LOCK:
        warm, import_env = _start_warm(program)
        if program == _MANAGE and _variables(env, _READ_BY_SETTINGS) != _variables(import_env, _READ_BY_SETTINGS):
            warm, import_env = _start_warm(f"{program} without settings")
    return warm if _variables(env, _READ_BY_LIBRARIES) == _variables(import_env, _READ_BY_LIBRARIES) else None


def _variables(env: Mapping[str, str], prefixes: tuple[str, ...]) -> dict[str, str]:
    """Return the variables with these prefixes that are read when modules are imported."""
    return {k: v for k, v in env.items() if k.startswith(prefixes) and not k.startswith(_READ_LATER)}


@functools.cache
def _start_warm(program: str) -> tuple[socket.socket, dict[str, str]]:
    """Start a warm process; return its socket and its environment."""
    requests, remote = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    env = {k: v for k, v in os.environ.items() if not k.startswith(_READ_LATER)}
    env["DJANGO_SETTINGS_MODULE"] = "pipekit_site.settings"
    # a module instead of -c, which some libraries take for an interactive session
    argv = [sys.executable, "-m", "tests.processes.warm_server", str(remote.fileno()), program]
    process = subprocess.Popen(argv, cwd=ROOT, env=env, pass_fds=[remote.fileno()])
    remote.close()

    def end() -> None:
        requests.close()
        process.wait()

    atexit.register(end)
    return requests, env

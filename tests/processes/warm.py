"""Starts `python manage.py ...` and `python -m runs.jrunner` by forking a process that has their modules imported.

Most of the time of a short command is spent on importing Django and the drivers. A warm process does that once per
session and forks for each command. The command is a process of its own, with its arguments, environment, streams,
signals and exit code; only what Python, libraries or settings read from the environment when they are imported is not
read again. If that differs, a new interpreter is started. Tests of the start of a process start new interpreters.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from runs.jrunner import command

ROOT = Path(__file__).resolve().parents[2]
# modules that the warm processes import, with those they depend on
_MANAGE = (
    "django.contrib.admin",
    "runs.lifecycle.execute",
    "runs.management.commands.runmodule",
    "psycopg",
    "sqlglot.dialects",
)
_JRUNNER = (
    *("runs.jrunner.command", "runs.jrunner.flags", "runs.jrunner.routes.choose", "asyncpg", "psycopg"),
    *("pyarrow.compute", "duckdb", "pgpq", "adbc_driver_sqlite.dbapi", "adbc_driver_postgresql.dbapi"),
)
# prefixes of variables that are read when Python, libraries or settings are imported, and exceptions
_READ_EARLY = ("PYTHON", "LC_", "LANG", "TZ", "PG", "SSL_", "ARROW_", "DJANGO_SETTINGS_MODULE", "PIPEKIT_")
_READ_LATE = ("PIPEKIT_FAULTS", "PIPEKIT_FAULT_LOG")
_START_LOCK = threading.Lock()


def manage(words: Sequence[str], *, env: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start `python manage.py` with these words; its outputs are pipes."""
    return _start(str(ROOT / "manage.py"), words, env=env, stdin=subprocess.DEVNULL)


def jrunner(words: Sequence[str], *, env: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start `python -m runs.jrunner` with these words; all its streams are pipes."""
    return _start("runs.jrunner", words, env=env, stdin=subprocess.PIPE)


def _start(program: str, words: Sequence[str], *, env: Mapping[str, str], stdin: int) -> subprocess.Popen[str]:
    warm = _warm(program, env)
    if warm is not None:
        return Forked(warm, program, words, env=env, stdin=stdin)
    argv = [sys.executable, *([program] if program.endswith(".py") else ["-m", program]), *words]
    return subprocess.Popen(
        argv, cwd=ROOT, env=env, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        encoding="utf-8",
    )  # fmt: skip


class Forked(subprocess.Popen[str]):
    """A process forked from a warm process, with the interface of a child process. It is not a child of this one."""

    def __init__(
        self, warm: socket.socket, program: str, words: Sequence[str], *, env: Mapping[str, str], stdin: int
    ) -> None:
        self.args = [program, *words]
        self.returncode: int | None = None
        self._status, remote_status = socket.socketpair()
        local_ends, remote_ends = list[int](), list[int]()
        for stream, is_written in ((stdin, True), (subprocess.PIPE, False), (subprocess.PIPE, False)):
            read, write = os.pipe() if stream == subprocess.PIPE else (os.open(os.devnull, os.O_RDONLY), -1)
            local_ends.append(write if is_written else read)
            remote_ends.append(read if is_written else write)
        request = {"program": program, "words": list(words), "env": dict(env)}
        socket.send_fds(warm, [json.dumps(request).encode()], [*remote_ends, remote_status.fileno()])
        for descriptor in remote_ends:
            os.close(descriptor)
        remote_status.close()
        self.stdin = os.fdopen(local_ends[0], "w", encoding="utf-8") if local_ends[0] >= 0 else None
        self.stdout, self.stderr = (os.fdopen(descriptor, encoding="utf-8") for descriptor in local_ends[1:])
        self._readers = list[_Reader]()
        self._report = b""
        self._receive(None)
        self.pid = int(self._report.split()[0])

    def poll(self) -> int | None:
        try:
            return self.wait(timeout=0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            # if the process ended at once, both lines may have been received together
            while self._report.count(b"\n") < 2:
                if not self._receive(timeout):
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int(self._report.split()[1])
            self._status.close()
        return self.returncode

    def communicate(self, input: str | None = None, timeout: float | None = None) -> tuple[Any, Any]:
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self._readers:
            assert self.stdout and self.stderr
            self._readers = [_Reader(stream) for stream in (self.stdout, self.stderr)]
        if self.stdin and not self.stdin.closed:
            try:
                self.stdin.write(input or "")
                self.stdin.close()
            except BrokenPipeError:
                pass
        for reader in self._readers:
            reader.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
        self.wait(None if deadline is None else max(0.1, deadline - time.monotonic()))
        return self._readers[0].text, self._readers[1].text

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def _receive(self, timeout: float | None) -> bool:
        """Read lines of the parent's report: the process id, then the exit code. Return False after the timeout."""
        self._status.settimeout(timeout)
        try:
            received = self._status.recv(100)
        except (TimeoutError, BlockingIOError):
            return False
        assert received, "the parent of the process has ended"
        self._report += received
        return True


class _Reader(threading.Thread):
    """Reads a stream to its end in a thread."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(daemon=True)
        self.stream, self.text = stream, ""
        self.start()

    def run(self) -> None:
        self.text = self.stream.read()
        self.stream.close()


def _warm(program: str, env: Mapping[str, str]) -> socket.socket | None:
    """Return the socket of the warm process for the program; None if its imports have read another environment."""
    if sys.platform != "linux":
        return None
    with _START_LOCK:
        warm, import_env = _start_warm(program)
    return warm if _read_at_import(env) == import_env else None


def _read_at_import(env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are read when modules are imported."""
    return {k: v for k, v in env.items() if k.startswith(_READ_EARLY) and not k.startswith(_READ_LATE)}


@functools.cache
def _start_warm(program: str) -> tuple[socket.socket, dict[str, str]]:
    """Start a warm process; return its socket and the variables that its imports have read."""
    requests, remote = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    env = {k: v for k, v in os.environ.items() if not k.startswith(_READ_LATE)}
    env["DJANGO_SETTINGS_MODULE"] = "pipekit_site.settings"
    # a module instead of -c, which some libraries take for an interactive session
    argv = [sys.executable, "-m", "tests.processes.warm", str(remote.fileno()), program]
    process = subprocess.Popen(argv, cwd=ROOT, env=env, pass_fds=[remote.fileno()])
    remote.close()

    def end() -> None:
        requests.close()
        process.wait()

    atexit.register(end)
    return requests, _read_at_import(env)


def serve(descriptor: int, program: str) -> None:
    """Import the program's modules and fork for each request that the socket receives; run the program in the fork."""
    if program.endswith(".py"):
        import_module("django").setup()
    else:
        # as jrunner does, before the libraries that read the environment are imported
        command.isolate()
    for name in _MANAGE if program.endswith(".py") else _JRUNNER:
        import_module(name)
    gc.freeze()
    # the intermediate processes, which wait for a program, are reaped by the system
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as requests:
        while True:
            data, descriptors, _, _ = socket.recv_fds(requests, 1 << 20, 4)
            if not data:
                return
            if os.fork() == 0:
                break
            for received in descriptors:
                os.close(received)
    _fork_program(descriptors)
    request = json.loads(data)
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = [request["program"], *request["words"]]
    if request["program"].endswith(".py"):
        runpy.run_path(request["program"], run_name="__main__")
    else:
        runpy.run_module(request["program"], run_name="__main__", alter_sys=True)


def _fork_program(descriptors: list[int]) -> None:
    """Fork again: return in the child, with its streams; in this process, report its id, wait for it and exit."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, status = descriptors
    pid = os.fork()
    if pid == 0:
        os.close(status)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
        return
    for stream in streams:
        os.close(stream)
    os.write(status, f"{pid}\n".encode())
    # WNOWAIT: the id is not used again until the exit code has been reported
    exited = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert exited
    code = exited.si_status if exited.si_code == os.CLD_EXITED else -exited.si_status
    os.write(status, f"{code}\n".encode())
    os._exit(0)


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])

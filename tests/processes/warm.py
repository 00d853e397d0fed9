"""Processes of their own for `python manage.py ...` and `python -m runs.jrunner`, forked from one that is warm.

Most of a short command's time is Python's: importing Django and the drivers. A warm process does that once a session,
and forks for each command. A command still has a process of its own, with its arguments, environment, streams, signals
and exit code. Only what Python, a library or the settings read when they are imported is not read again: where that
would differ, a real one is started. Tests about starting itself start real ones by themselves.
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
# what is imported, beside the module that is run
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
# read when Python, a library or the settings are imported
_READ_EARLY = ("PYTHON", "LC_", "LANG", "TZ", "PG", "SSL_", "ARROW_", "DJANGO_SETTINGS_MODULE", "PIPEKIT_")
_READ_LATE = ("PIPEKIT_FAULTS", "PIPEKIT_FAULT_LOG")
_STARTING = threading.Lock()


def manage(words: Sequence[str], *, env: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start `python manage.py` with these words; its output comes through pipes."""
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
    """A process that the warm one has forked, used as any other child; it is no child of ours."""

    def __init__(
        self, warm: socket.socket, program: str, words: Sequence[str], *, env: Mapping[str, str], stdin: int
    ) -> None:
        self.args = [program, *words]
        self.returncode: int | None = None
        self._status, theirs = socket.socketpair()
        ours, streams = list[int](), list[int]()
        for kind, writing in ((stdin, True), (subprocess.PIPE, False), (subprocess.PIPE, False)):
            read, write = os.pipe() if kind == subprocess.PIPE else (os.open(os.devnull, os.O_RDONLY), -1)
            ours.append(write if writing else read)
            streams.append(read if writing else write)
        request = {"program": program, "words": list(words), "env": dict(env)}
        socket.send_fds(warm, [json.dumps(request).encode()], [*streams, theirs.fileno()])
        for number in streams:
            os.close(number)
        theirs.close()
        self.stdin = os.fdopen(ours[0], "w", encoding="utf-8") if ours[0] >= 0 else None
        self.stdout, self.stderr = (os.fdopen(number, encoding="utf-8") for number in ours[1:])
        self._readers = list[_Reader]()
        self._reported = b""
        self._receive(None)
        self.pid = int(self._reported.split()[0])

    def poll(self) -> int | None:
        try:
            return self.wait(timeout=0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            # of a process that ended at once, both lines may have come together
            while self._reported.count(b"\n") < 2:
                if not self._receive(timeout):
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int(self._reported.split()[1])
            self._status.close()
        return self.returncode

    def communicate(self, input: str | None = None, timeout: float | None = None) -> tuple[Any, Any]:
        until = None if timeout is None else time.monotonic() + timeout
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
            reader.join(None if until is None else max(0.0, until - time.monotonic()))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
        self.wait(None if until is None else max(0.1, until - time.monotonic()))
        return self._readers[0].text, self._readers[1].text

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def _receive(self, timeout: float | None) -> bool:
        """Read what its parent reports: its process id, and its exit code at its end. False when that takes longer."""
        self._status.settimeout(timeout)
        try:
            received = self._status.recv(100)
        except (TimeoutError, BlockingIOError):
            return False
        assert received, "the process that waits for it is gone"
        self._reported += received
        return True


class _Reader(threading.Thread):
    """Reads a stream to its end."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(daemon=True)
        self.stream, self.text = stream, ""
        self.start()

    def run(self) -> None:
        self.text = self.stream.read()
        self.stream.close()


def _warm(program: str, env: Mapping[str, str]) -> socket.socket | None:
    """Return the socket of a warm process whose imports are as those of this environment would be, if there is one."""
    if sys.platform != "linux":
        return None
    with _STARTING:
        warm, early = _running(program)
    return warm if _early(env) == early else None


def _early(env: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in env.items() if k.startswith(_READ_EARLY) and not k.startswith(_READ_LATE)}


@functools.cache
def _running(program: str) -> tuple[socket.socket, dict[str, str]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    env = {k: v for k, v in os.environ.items() if not k.startswith(_READ_LATE)}
    env["DJANGO_SETTINGS_MODULE"] = "pipekit_site.settings"
    # a module and no -c, which some libraries take for an interactive session
    argv = [sys.executable, "-m", "tests.processes.warm", str(theirs.fileno()), program]
    process = subprocess.Popen(argv, cwd=ROOT, env=env, pass_fds=[theirs.fileno()])
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours, _early(env)


def serve(number: int, program: str) -> None:
    """Import what the program imports, and fork for each request; in the fork, run the program."""
    if program.endswith(".py"):
        import_module("django").setup()
    else:
        # as jrunner does, before the libraries that read the environment are imported
        command.isolate()
    for name in _MANAGE if program.endswith(".py") else _JRUNNER:
        import_module(name)
    gc.freeze()
    # nobody waits for the processes that wait for a program
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=number) as requests:
        while True:
            data, handles, _, _ = socket.recv_fds(requests, 1 << 20, 4)
            if not data:
                return
            if os.fork() == 0:
                break
            for handle in handles:
                os.close(handle)
    _fork_program(handles)
    request = json.loads(data)
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = [request["program"], *request["words"]]
    if request["program"].endswith(".py"):
        runpy.run_path(request["program"], run_name="__main__")
    else:
        runpy.run_module(request["program"], run_name="__main__", alter_sys=True)


def _fork_program(handles: list[int]) -> None:
    """Fork once more: return in the child, with its streams; wait for its end in this process, and report it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, status = handles
    pid = os.fork()
    if pid == 0:
        os.close(status)
        for number, handle in enumerate(streams):
            os.dup2(handle, number)
            os.close(handle)
        sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
        return
    for handle in streams:
        os.close(handle)
    os.write(status, f"{pid}\n".encode())
    # as long as nobody has waited for it, no other process gets its id
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert ended
    code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
    os.write(status, f"{code}\n".encode())
    os._exit(0)


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])

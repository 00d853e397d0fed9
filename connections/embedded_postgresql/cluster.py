"""A PostgreSQL data directory and its server: create, start, stop. Accessed by a directory descriptor, not by path.

The descriptor lets root pass the directory to the server's user without giving access to its parents, and
``/proc/self/fd/N`` stands in for paths that are too long for a socket or have characters special to a shell.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from connections.embedded_postgresql.directory_checks import MARKER
from connections.embedded_postgresql.programs import NEWEST, run_program
from connections.embedded_postgresql.system_user import SystemUser
from connections.sdk.files.lock import lock_descriptor

_SOCKET = ".s.PGSQL.5432"
# maximum length in bytes of a socket's path, and characters that are special to libpq or a shell
_MAX_SOCKET_PATH = 100
_SPECIAL = set(",@'\"\\$`\n")
_PROC = Path("/proc/self/fd")
# seconds; a server that has crashed replays its log first
_TIMEOUT = 60
# descriptors that stay open until this process ends, for clients of sockets whose path cannot be used
_client_handles: dict[Path, int] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A data directory. ``handle`` is its open descriptor, ``user`` the one that the server runs as."""

    path: Path
    handle: int
    user: SystemUser

    @classmethod
    @contextmanager
    def opened(cls, path: Path, user: SystemUser) -> Iterator[Cluster]:
        """Open the directory, without following a link, for the duration of the block."""
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            yield cls(path=path, handle=handle, user=user)
        finally:
            os.close(handle)

    @property
    def server_path(self) -> str:
        """Return the path of the directory as the server's programs are given it."""
        is_plain = self.user.uid == os.geteuid() and _is_plain(self.path)
        return str(self.path) if is_plain or not _PROC.exists() else f"{_PROC}/{self.handle}"

    def client_directory(self) -> str:
        """Return the path of the socket's directory for clients in this process, valid until it ends."""
        if _is_plain(self.path) or not _PROC.exists():
            return str(self.path)
        handle = _client_handles.get(self.path)
        if handle is None or os.fstat(handle).st_ino != os.fstat(self.handle).st_ino:
            handle = _client_handles[self.path] = os.dup(self.handle)
        return f"{_PROC}/{handle}"

    @property
    def is_prepared(self) -> bool:
        """Return whether roles and access rules have been set up by this version."""
        return bool(self.read(MARKER))

    def read(self, name: str) -> str:
        """Return a file's text, or an empty string if there is none. Does not follow links."""
        try:
            with open(name, opener=self._opener) as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def write(self, name: str, text: str) -> None:
        """Write a file atomically, with mode 0600 and owned by the server's user."""
        unfinished = f".{name}.{os.getpid()}"
        with suppress(FileNotFoundError):
            os.unlink(unfinished, dir_fd=self.handle)
        with open(unfinished, "x", opener=self._opener) as file:
            file.write(text)
            file.flush()
            if self.user.uid != os.geteuid():
                os.fchown(file.fileno(), self.user.uid, self.user.gid)
            os.fsync(file.fileno())
        os.replace(unfinished, name, src_dir_fd=self.handle, dst_dir_fd=self.handle)

    def _opener(self, name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=self.handle)

    def is_ready(self) -> bool:
        """Return whether a server with this version's access rules accepts connections."""
        lines = self.read("postmaster.pid").splitlines()
        if len(lines) < 8 or lines[7].strip() != "ready" or not self.is_prepared:
            return False
        name = f"{_PROC}/{self.handle}" if _PROC.exists() else str(self.path)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect(f"{name}/{_SOCKET}")
            except (ConnectionRefusedError, FileNotFoundError):
                return False
            except OSError:
                # any other error, such as a timeout, means that it listens and is busy
                return True
        return True

    def runs(self) -> bool:
        """Return whether a server process uses this directory, whether or not it accepts connections yet."""
        pid = self.read("postmaster.pid").split("\n")[0].strip()
        if not pid.isdecimal():
            return False
        if not _PROC.exists():
            return _exists(int(pid))
        try:
            # pids are reused, but a server's working directory is its data directory
            working, own = os.stat(f"/proc/{pid}/cwd"), os.fstat(self.handle)
        except OSError:
            return False
        return (working.st_dev, working.st_ino) == (own.st_dev, own.st_ino)

    def wait(self) -> None:
        """Wait until a starting server is ready. Raises TimeoutError."""
        until = time.monotonic() + _TIMEOUT
        while not self.is_ready():
            if time.monotonic() > until:
                raise TimeoutError(f"it has been starting for more than {_TIMEOUT} seconds")
            time.sleep(0.1)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock for starting and stopping the server. Raises TimeoutError after two minutes."""
        # on a descriptor of its own: the server inherits `handle`, and would hold a lock on that while it runs
        lock = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.handle)
        try:
            try:
                lock_descriptor(lock, wait=2 * _TIMEOUT)
            except BlockingIOError:
                raise TimeoutError("another process has been starting or stopping it for two minutes") from None
            yield
        finally:
            os.close(lock)

    def run(self, *words: str, text: str = "") -> str:
        """Run a program of the directory's PostgreSQL version, with the descriptor passed on; return its output."""
        major = int(self.read("PG_VERSION") or NEWEST)
        return run_program(words, major=major, user=self.user, fds=[self.handle], text=text)

    def start(self) -> None:
        """Start the server, with the Unix socket in the data directory only, and wait until it is ready."""
        name = self.server_path
        options = f"-h '' -k {shlex.quote(name)}"
        self.run("pg_ctl", "-D", name, "-l", f"{name}/log", "-o", options, "-w", "-t", str(_TIMEOUT), "start")

    def stop(self) -> None:
        """Stop the server if it runs, whatever started it, terminating its sessions."""
        if self.runs():
            self.run("pg_ctl", "-D", self.server_path, "-m", "fast", "-w", "-t", str(_TIMEOUT), "stop")


def create(path: Path, user: SystemUser) -> None:
    """Create the data directory under a temporary name beside it, then rename it; an existing one is left alone."""
    missing = [parent for parent in path.parents if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(mode=0o700, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        if user.uid != os.geteuid():
            os.chown(unfinished, user.uid, user.gid)
        with Cluster.opened(unfinished, user) as cluster:
            words = ("--auth=peer", "--encoding=utf8", "--username=postgres")
            cluster.run("initdb", "-D", cluster.server_path, *words)
        with suppress(FileExistsError):
            _move(unfinished, path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _move(unfinished: Path, path: Path) -> None:
    try:
        unfinished.rename(path)
    except OSError:
        # another process was first
        if not (path / "PG_VERSION").is_file():
            raise


def _is_plain(path: Path) -> bool:
    return len(os.fsencode(path / _SOCKET)) <= _MAX_SOCKET_PATH and not _SPECIAL & set(str(path))


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

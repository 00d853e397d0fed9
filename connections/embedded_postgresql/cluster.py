"""One data directory and its server: made, started, stopped. Reached through an open directory, not by its path.

So root, whose directories others may not enter, can hand it to the server's user without opening them, and a path that
is too long for a socket, or has characters of a shell, is none.
"""

from __future__ import annotations

import fcntl
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

from connections.embedded_postgresql import programs
from connections.embedded_postgresql.place import MARKER
from connections.embedded_postgresql.system_user import SystemUser

_SOCKET = ".s.PGSQL.5432"
# bytes of a socket's path, and characters that libpq or a shell reads otherwise
_LONGEST = 100
_ODD = set(",@'\"\\$`\n")
_PROC = Path("/proc/self/fd")
# seconds: a server that has crashed replays its log first
_PATIENCE = 60
# directories kept open for as long as this process lives, for sockets whose path is too long
_kept: dict[Path, int] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """``handle`` is the open directory."""

    path: Path
    handle: int
    user: SystemUser

    @classmethod
    @contextmanager
    def opened(cls, path: Path, user: SystemUser) -> Iterator[Cluster]:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            yield cls(path=path, handle=handle, user=user)
        finally:
            os.close(handle)

    @property
    def own_name(self) -> str:
        """The directory as the server names it."""
        is_plain = self.user.uid == os.geteuid() and _is_plain(self.path)
        return str(self.path) if is_plain or not _PROC.exists() else f"{_PROC}/{self.handle}"

    def client_directory(self) -> str:
        """The socket's directory as this process names it, valid for as long as it lives."""
        if _is_plain(self.path) or not _PROC.exists():
            return str(self.path)
        kept = _kept.get(self.path)
        if kept is None or os.fstat(kept).st_ino != os.fstat(self.handle).st_ino:
            kept = _kept[self.path] = os.dup(self.handle)
        return f"{_PROC}/{kept}"

    @property
    def is_prepared(self) -> bool:
        """Whether its roles and its access rules are this version's."""
        return bool(self.read(MARKER))

    def read(self, name: str) -> str:
        """Return a file's text, empty where there is none; never through a link."""
        try:
            with open(name, opener=self._opener) as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def write(self, name: str, text: str) -> None:
        """Write a file of mode 0600 for the server's user; it is there whole or not at all."""
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
        """Whether a server takes connections that lets in only whom it should."""
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
                # it is there, and busy
                return True
        return True

    def runs(self) -> bool:
        """Whether a server works on this directory, ready or not."""
        pid = self.read("postmaster.pid").split("\n")[0].strip()
        if not pid.isdigit():
            return False
        if not _PROC.exists():
            return _exists(int(pid))
        try:
            # a pid comes again; a server's working directory is its data directory
            found, own = os.stat(f"/proc/{pid}/cwd"), os.fstat(self.handle)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)

    def wait(self) -> None:
        """Wait for a server that is starting: one that has crashed replays its log first."""
        until = time.monotonic() + _PATIENCE
        while not self.is_ready():
            if time.monotonic() > until:
                raise TimeoutError(f"it has been starting for more than {_PATIENCE} seconds")
            time.sleep(0.1)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others from starting and stopping it. Nobody else can: only the owner may open the directory."""
        # opened once more, because the server inherits `handle` and would keep a lock on that for as long as it runs
        lock = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.handle)
        try:
            _acquire(lock)
            yield
        finally:
            os.close(lock)

    def run(self, *words: str, text: str = "") -> str:
        major = int(self.read("PG_VERSION") or programs.NEWEST)
        return programs.run(words, major=major, user=self.user, fds=[self.handle], text=text)

    def start(self) -> None:
        name = self.own_name
        options = f"-h '' -k {shlex.quote(name)}"
        self.run("pg_ctl", "-D", name, "-l", f"{name}/log", "-o", options, "-w", "-t", str(_PATIENCE), "start")

    def stop(self) -> None:
        """Stop the server if one runs, its sessions ended; whatever started it."""
        if self.runs():
            self.run("pg_ctl", "-D", self.own_name, "-m", "fast", "-w", "-t", str(_PATIENCE), "stop")


def _acquire(lock: int) -> None:
    until = time.monotonic() + 2 * _PATIENCE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                raise TimeoutError("another process has been starting or stopping it for two minutes") from None
        time.sleep(0.05)


def create(path: Path, user: SystemUser) -> None:
    """Make the data directory: elsewhere beside it, until it is whole. What is there already is left alone."""
    missing = [parent for parent in path.parents if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(mode=0o700, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        if user.uid != os.geteuid():
            os.chown(unfinished, user.uid, user.gid)
        with Cluster.opened(unfinished, user) as cluster:
            words = ("--auth=peer", "--encoding=utf8", "--username=postgres")
            cluster.run("initdb", "-D", cluster.own_name, *words)
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
    return len(os.fsencode(path / _SOCKET)) <= _LONGEST and not _ODD & set(str(path))


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

"""A process forked from a warm process, with the interface of a child process."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any


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

"""A run's log: one file that its processes append to, that anyone reads by offset, and that does not grow for ever.

When it is too long its middle is taken out and a line says so. Offsets count what was ever written, so that a reader
goes on where it was; one that was in the middle gets that line instead.
"""

from __future__ import annotations

import codecs
import datetime as dt
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol

# what is kept of the beginning; found again by its size
_HEAD = 256 * 1024
_MARK = "--- {:015d} bytes of this log were cut out here ---\n"
_MARK_START, _MARK_SIZE = _MARK.encode()[:4], len(_MARK.format(0).encode())


class Logged(Protocol):
    @property
    def log_file(self) -> Path: ...


def write(run: Logged, text: str) -> None:
    """Append one line with the time. A full disk loses the line, never the run."""
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
    with suppress(OSError):
        run.log_file.parent.mkdir(parents=True, exist_ok=True)
        with run.log_file.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{now} {text}\n")


def read(run: Logged, offset: int = 0, limit: int = 1 << 20) -> tuple[str, int]:
    """Return what follows ``offset``, at most ``limit`` bytes, and the offset to go on from.

    The text ends with a whole character. A log that is not there (yet, or any more) is empty.
    """
    try:
        with run.log_file.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            return _read(file, max(offset, 0), limit)
    except (FileNotFoundError, IsADirectoryError):
        return "", offset


def cap(run: Logged, *, most: int) -> None:
    """Take the middle out of a log longer than ``most`` bytes; half of that stays as its end.

    A line that another process appends in this very moment may be lost.
    """
    with suppress(OSError), run.log_file.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size > max(most, 3 * _HEAD):
            fcntl.flock(file, fcntl.LOCK_EX)
            _cut(file, size - most // 2)


def _read(file: BinaryIO, offset: int, limit: int) -> tuple[str, int]:
    head, lost = _shape(file)
    if lost and offset >= head + lost:
        file.seek(offset - lost + _MARK_SIZE)
        before = offset
    elif lost and offset >= head:
        # in the middle that is gone
        file.seek(head + _MARK_SIZE)
        before = head + lost
        text, after = _decoded(file.read(max(limit - _MARK_SIZE, 4)), before)
        return _MARK.format(lost) + text, after
    else:
        file.seek(offset)
        before = offset
        limit = min(limit, head - offset) if lost else limit
    return _decoded(file.read(limit), before)


def _decoded(found: bytes, before: int) -> tuple[str, int]:
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    text = decoder.decode(found)
    unfinished, _ = decoder.getstate()
    return text, before + len(found) - len(unfinished)


def _shape(file: BinaryIO) -> tuple[int, int]:
    """Return where the head ends and how much was cut out there; 0 when nothing was."""
    file.seek(0)
    start = file.read(_HEAD + _MARK_SIZE)
    head = start.rfind(b"\n", 0, _HEAD) + 1 or _HEAD
    mark = start[head : head + _MARK_SIZE]
    if not mark.startswith(_MARK_START) or not mark[4:19].isdigit() or not mark.endswith(b"---\n"):
        return head, 0
    return head, int(mark[4:19])


def _cut(file: BinaryIO, keep_from: int) -> None:
    head, lost = _shape(file)
    file.seek(keep_from)
    file.readline()
    begin = file.tell()
    tail = file.read()
    gone = begin - head - (_MARK_SIZE if lost else 0)
    file.seek(head)
    file.write(_MARK.format(lost + gone).encode() + tail)
    file.truncate()

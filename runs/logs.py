"""A run's log: one file that its processes append to, that anyone reads by offset, and that does not grow for ever.

When it is too long its middle is taken out and a line says so. Offsets count what was ever written, so that a reader
goes on where it was; one that was in the middle gets that line instead.
"""

from __future__ import annotations

import codecs
import datetime as dt
import fcntl
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from connections.sdk.visible_text import indented, visible

# what is kept of the beginning, with the line that says what was cut out: that line ends exactly here, filled up with
# dashes, by which it is found again
_HEAD = 256 * 1024
_MARK = "--- {:015d} bytes of this log were cut out here ---"
_MARKED = re.compile(rb"--- (\d{15}) bytes of this log were cut out here -+\n\Z")
_LEAST_MARK = len(_MARK.format(0)) + 1
# a line longer than this is cut in its middle
_LONGEST = 16 * 1024
# how long readers and writers wait for somebody who cuts; then they go on all the same
_PATIENCE = 2.0


class Logged(Protocol):
    @property
    def log_file(self) -> Path: ...


def write(run: Logged, text: str) -> None:
    """Append one line with the time. A full disk loses the line, never the run."""
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
    with suppress(OSError):
        run.log_file.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        with open(run.log_file, "ab", opener=_for_us) as file:
            _wait_for_cut(file)
            file.write(f"{now} {indented(text)}\n".encode(errors="backslashreplace"))


def _for_us(path: str, flags: int) -> int:
    # it may show rows: for this user and its group alone, whatever the umask
    return os.open(path, flags, 0o640)


def read(run: Logged, offset: int = 0, limit: int = 1 << 20) -> tuple[str, int]:
    """Return what follows ``offset``, at most ``limit`` bytes, and the offset to go on from.

    The text ends with a whole character; what would move a terminal's cursor is shown as a sign. A log that is not
    there (yet, or any more) is empty.
    """
    try:
        with run.log_file.open("rb") as file:
            _wait_for_cut(file)
            text, after = _read(file, max(offset, 0), max(limit, 4))
    except (FileNotFoundError, IsADirectoryError):
        return "", offset
    return visible(text), after


def cap(run: Logged, *, most: int) -> None:
    """Take the middle out of a log longer than ``most`` bytes; half of that stays as its end.

    Not while somebody reads or writes: it is asked again soon. What another program appends in this very moment,
    past `write`, may be lost.
    """
    with suppress(OSError), run.log_file.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size > max(most, 3 * _HEAD):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _cut(file, file.seek(0, os.SEEK_END) - most // 2)


def _wait_for_cut(file: BinaryIO) -> None:
    """Keep the file from being cut until it is closed. One that is stopped while it cuts keeps nobody for ever."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(0.01)


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where the head ends, how much was cut out there, and where the tail begins in the file."""

    head: int
    lost: int
    tail: int

    @property
    def gone_until(self) -> int:
        """The offset at which the tail begins."""
        return self.head + self.lost


def _shape(file: BinaryIO) -> _Shape:
    begin = _HEAD - _LONGEST - _LEAST_MARK
    file.seek(begin)
    some = file.read(_HEAD - begin)
    found = _MARKED.search(some)
    if begin + len(some) < _HEAD or found is None:
        return _Shape(0, 0, 0)
    return _Shape(_HEAD - len(found[0]), int(found[1]), _HEAD)


def _read(file: BinaryIO, offset: int, limit: int) -> tuple[str, int]:
    shape = _shape(file)
    if offset < shape.head:
        file.seek(offset)
        return _decoded(file.read(min(limit, shape.head - offset)), offset, final=offset + limit >= shape.head)
    if offset < shape.gone_until:
        # in the middle that is gone
        file.seek(shape.tail)
        text, after = _decoded(file.read(limit), shape.gone_until)
        return f"{_MARK.format(shape.lost)}\n{text}", after
    file.seek(offset - shape.gone_until + shape.tail)
    return _decoded(file.read(limit), offset)


def _decoded(found: bytes, before: int, *, final: bool = False) -> tuple[str, int]:
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    text = decoder.decode(found, final)
    unfinished, _ = decoder.getstate()
    return text, before + len(found) - len(unfinished)


def _cut(file: BinaryIO, keep_from: int) -> None:
    shape = _shape(file)
    head = shape.head or _end_of_head(file)
    file.seek(keep_from)
    begin = _next_begin(file.read(_LONGEST), keep_from)
    file.seek(begin)
    tail = file.read()
    gone = begin - shape.tail if shape.lost else begin - head
    file.seek(head)
    file.write(_MARK.format(shape.lost + gone).ljust(_HEAD - head - 1, "-").encode() + b"\n" + tail)
    file.truncate()


def _end_of_head(file: BinaryIO) -> int:
    """Return where to end it: after a whole line, or in a very long one after a whole character."""
    file.seek(0)
    start = file.read(_HEAD - _LEAST_MARK)
    line = start.rfind(b"\n", len(start) - _LONGEST) + 1
    return line or _whole(start)


def _whole(text: bytes) -> int:
    """Return how much of it there is without a character that has only begun."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    decoder.decode(text)
    return len(text) - len(decoder.getstate()[0])


def _next_begin(some: bytes, at: int) -> int:
    """Return where the next line begins, or in a very long one the next character."""
    if line := some.find(b"\n") + 1:
        return at + line
    return at + next((number for number, byte in enumerate(some[:4]) if byte & 0xC0 != 0x80), 0)

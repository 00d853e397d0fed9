"""The log of a run: one file that its processes append to and that is read by offset, with a size limit.

When the file is too long, its middle is replaced by a line that says how much was cut out. Offsets count all bytes
ever written, so a reader continues where it was; an offset within the cut yields that line.
"""

from __future__ import annotations

import codecs
import datetime as dt
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from connections.sdk.files.lock import lock_descriptor
from connections.sdk.formatting import indented, iso_milliseconds, visible
from connections.sdk.records import dataclass
from connections.secrets.redaction import redactor

# bytes kept of the beginning, including the line about the cut: padded with dashes, it ends exactly here, which is how
# it is recognised
_HEAD = 256 * 1024
_MARK = "--- {:015d} bytes of this log were cut out here ---"
_MARKED = re.compile(rb"--- (\d{15}) bytes of this log were cut out here -+\n\Z")
_MIN_MARK = len(_MARK.format(0)) + 1
# a cut falls between two lines, unless a line is longer than this
_MAX_LINE = 16 * 1024
# seconds for which readers and writers wait for a process that cuts the file; then they continue without its lock
_LOCK_TIMEOUT = 2.0
_EARLIER = "an earlier run, group run or verification"


class Logged(Protocol):
    """A row with a log file: Run, GroupRun or Verification."""

    @property
    def log_file(self) -> Path: ...


def write(run: Logged, text: str) -> None:
    """Append one line with a timestamp, without secrets. An OSError, such as a full disk, is ignored."""
    text = redactor().text(text)
    now = iso_milliseconds(dt.datetime.now(dt.UTC))
    with suppress(OSError), _open_to_append(run.log_file) as file:
        _wait_for_cut(file)
        file.write(f"{now} {indented(text)}\n".encode(errors="backslashreplace"))


def rename_earlier_log(run: Logged) -> None:
    """Rename a log that exists before the row is inserted: that of an earlier row, which had the same number.

    Numbers are given again after an older backup of the metadata was restored, or after it was deleted.
    """
    file = run.log_file
    try:
        written = dt.datetime.fromtimestamp(file.stat().st_mtime, dt.UTC)
        aside = file.with_name(f"{file.stem}.until-{written:%Y%m%dT%H%M%S.%fZ}{file.suffix}")
        file.rename(aside)
    except FileNotFoundError:
        return
    except OSError as error:
        write(run, f"the lines above belong to {_EARLIER} with this number; its log cannot be renamed: {error}")
        return
    reason = "the metadata was restored or deleted"
    write(run, f"the log of {_EARLIER} with this number is kept in {aside}: {reason}")


def open_to_append(path: Path) -> BinaryIO:
    """Return a log, opened to append other output to it; the null device if it cannot be opened."""
    try:
        return _open_to_append(path)
    except OSError:
        return open(os.devnull, "ab")


def _open_to_append(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    return open(path, "ab", opener=_open_private)


def _open_private(path: str, flags: int) -> int:
    # it may contain data: readable only by this user and its group, whatever the umask
    return os.open(path, flags, 0o640)


def read(run: Logged, offset: int = 0, limit: int = 1 << 20) -> tuple[str, int]:
    """Return up to ``limit`` bytes from ``offset`` on as text, and the offset to continue from.

    The text ends with a complete character, and terminal control characters are replaced by symbols. A log that does
    not exist reads as empty.
    """
    try:
        with run.log_file.open("rb") as file:
            _wait_for_cut(file)
            text, after = _read(file, max(offset, 0), max(limit, 4))
    except (FileNotFoundError, IsADirectoryError):
        return "", offset
    return visible(text), after


def cap(run: Logged, *, most: int) -> None:
    """Cut the middle out of a log longer than ``most`` bytes, keeping half of ``most`` as its end.

    Do nothing while another process reads or writes it; the caller tries again later. Output that a program appends at
    the same time other than through `write` may be lost.
    """
    with suppress(OSError), run.log_file.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size > max(most, 3 * _HEAD):
            lock_descriptor(file.fileno())
            _cut(file, file.seek(0, os.SEEK_END) - most // 2)


def _wait_for_cut(file: BinaryIO) -> None:
    """Lock the file against `cap` until it is closed; continue without the lock after _LOCK_TIMEOUT."""
    with suppress(BlockingIOError):
        lock_descriptor(file.fileno(), wait=_LOCK_TIMEOUT, shared=True, interval=0.01)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Layout of a file: where the head ends, how many bytes were cut out, and where the tail begins in the file."""

    head: int
    cut: int
    tail: int

    @property
    def tail_offset(self) -> int:
        """The offset, as readers count it, at which the tail begins."""
        return self.head + self.cut


def _layout(file: BinaryIO) -> _Layout:
    begin = _HEAD - _MAX_LINE - _MIN_MARK
    file.seek(begin)
    chunk = file.read(_HEAD - begin)
    mark = _MARKED.search(chunk)
    if begin + len(chunk) < _HEAD or mark is None:
        return _Layout(0, 0, 0)
    return _Layout(_HEAD - len(mark[0]), int(mark[1]), _HEAD)


def _read(file: BinaryIO, offset: int, limit: int) -> tuple[str, int]:
    layout = _layout(file)
    if offset < layout.head:
        file.seek(offset)
        return _decode(file.read(min(limit, layout.head - offset)), offset, final=offset + limit >= layout.head)
    if offset < layout.tail_offset:
        # within the part that was cut out
        file.seek(layout.tail)
        text, after = _decode(file.read(limit), layout.tail_offset)
        return f"{_MARK.format(layout.cut)}\n{text}", after
    file.seek(offset - layout.tail_offset + layout.tail)
    return _decode(file.read(limit), offset)


def _decode(data: bytes, offset: int, *, final: bool = False) -> tuple[str, int]:
    """Return the complete characters of the data at ``offset``, and the offset after them."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    text = decoder.decode(data, final)
    incomplete, _ = decoder.getstate()
    return text, offset + len(data) - len(incomplete)


def _cut(file: BinaryIO, keep_from: int) -> None:
    layout = _layout(file)
    head = layout.head or _end_of_head(file)
    file.seek(keep_from)
    begin = _next_begin(file.read(_MAX_LINE), keep_from)
    file.seek(begin)
    tail = file.read()
    removed = begin - layout.tail if layout.cut else begin - head
    file.seek(head)
    file.write(_MARK.format(layout.cut + removed).ljust(_HEAD - head - 1, "-").encode() + b"\n" + tail)
    file.truncate()


def _end_of_head(file: BinaryIO) -> int:
    """Return where the head ends: after a complete line, or in a very long line after a complete character."""
    file.seek(0)
    start = file.read(_HEAD - _MIN_MARK)
    line = start.rfind(b"\n", len(start) - _MAX_LINE) + 1
    return line or _complete_length(start)


def _complete_length(text: bytes) -> int:
    """Return the length without an incomplete character at the end."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    decoder.decode(text)
    return len(text) - len(decoder.getstate()[0])


def _next_begin(chunk: bytes, at: int) -> int:
    """Return where the next line begins, or in a very long line the next character."""
    if line := chunk.find(b"\n") + 1:
        return at + line
    return at + next((number for number, byte in enumerate(chunk[:4]) if byte & 0xC0 != 0x80), 0)

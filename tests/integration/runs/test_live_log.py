"""The log of a run: cutting, reading by offset, concurrent writers, control characters and invalid UTF-8."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from runs import logs

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Log:
    log_file: Path


@pytest.fixture
def log(tmp_path: Path) -> Log:
    (tmp_path / "runs").mkdir()
    return Log(tmp_path / "runs" / "1.log")


def read_all(log: Log, offset: int = 0, limit: int = 1 << 20) -> tuple[str, int]:
    """Read from ``offset`` to the end; return the text and the offset after it."""
    texts = []
    while (chunk := logs.read(log, offset, limit))[1] > offset:
        text, offset = chunk
        texts.append(text)
    return "".join(texts), offset


def test_a_line_of_the_log_has_no_secrets(log: Log) -> None:
    logs.write(log, "could not connect with password=geheim99")
    text = read_all(log)[0]
    assert "password=***" in text
    assert "geheim99" not in text


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("length", [500, 9, 3000, 15_000, 40_000])
def test_a_log_that_is_cut_repeatedly_shows_one_cut_and_readers_miss_no_new_line(log: Log, length: int) -> None:
    def lines(first: int, last: int) -> bytes:
        return b"".join(f"{number:08d}".encode() + b"." * (length - 9) + b"\n" for number in range(first, last))

    count = 3 * MEGABYTE // length
    log.log_file.write_bytes(lines(0, count))
    offset = read_all(log)[1]
    for turn in range(1, 4):
        logs.cap(log, most=MEGABYTE)
        assert log.log_file.stat().st_size <= MEGABYTE
        with log.log_file.open("ab") as file:
            file.write(lines(turn * count, (turn + 1) * count))
        text, offset = read_all(log, offset)
        # a reader that keeps up misses nothing
        assert text == lines(turn * count, (turn + 1) * count).decode()
    written = 4 * count * length
    assert offset == written
    logs.cap(log, most=MEGABYTE)
    whole, end = read_all(log)
    assert end == written
    assert whole.count("were cut out here") == log.log_file.read_bytes().count(b"were cut out here") == 1
    head, _, tail = whole.partition("--- ")
    cut = int(tail.split()[0])
    assert len(head) + cut + len(tail.partition("\n")[2]) == written
    assert head.startswith("00000000")
    assert tail.endswith(lines(4 * count - 1, 4 * count).decode())


def test_a_single_very_long_line_is_cut_between_characters_and_keeps_its_end(log: Log) -> None:
    log.log_file.write_text("ž€" * MEGABYTE)
    logs.cap(log, most=MEGABYTE)
    assert log.log_file.stat().st_size < MEGABYTE
    text, end = read_all(log, limit=1000)
    assert end == 5 * MEGABYTE
    assert text.startswith("ž€ž€")
    assert text.endswith("ž€ž€")
    assert len(text) > 300_000
    assert "\ufffd" not in text


def test_invalid_utf_8_is_read_to_the_end_across_the_cut(log: Log) -> None:
    log.log_file.write_bytes(b"\xe2\x82" * MEGABYTE + b"\nend\n")
    logs.cap(log, most=MEGABYTE)
    for limit in (4096, 1 << 20):
        text, end = read_all(log, limit=limit)
        assert end == 2 * MEGABYTE + 5
        assert text.endswith("\nend\n")
    # with the smallest limit, from the end of the head across the cut into the tail
    offset, texts = 256 * 1024 - 200, []
    while offset < MEGABYTE:
        text, next_offset = logs.read(log, offset, 4)
        assert next_offset > offset
        texts.append(text)
        offset = next_offset
    assert "were cut out here" in texts[-1]


def test_control_characters_are_shown_as_visible_symbols(log: Log) -> None:
    logs.write(log, "red \x1b[31m, bell \x07, home \r\x9b2J, nul \x00, del \x7f")
    text, offset = logs.read(log)
    assert text.endswith("red \u241b[31m, bell \u2407, home \u240d\ufffd2J, nul \u2400, del \u2421\n")
    assert offset == log.log_file.stat().st_size


WRITER = """
import sys
from pathlib import Path
from types import SimpleNamespace
from runs import logs

log = SimpleNamespace(log_file=Path(sys.argv[1]))
for number in range(4000):
    logs.write(log, f"writer {sys.argv[2]} {number:06d} " + "x" * (number % 700))
"""


@pytest.mark.matrix
def test_concurrent_writers_lose_and_split_no_line_while_the_log_is_cut(log: Log) -> None:
    argv = [sys.executable, "-c", WRITER, str(log.log_file)]
    root = Path(logs.__file__).parents[1]
    writers = [subprocess.Popen([*argv, str(number)], cwd=root, env={**os.environ}) for number in range(5)]
    texts, offset, cuts, size = [], 0, 0, 0
    deadline = time.monotonic() + 240
    while any(writer.poll() is None for writer in writers):
        assert time.monotonic() < deadline
        text, offset = read_all(log, offset)
        texts.append(text)
        if log.log_file.exists():
            size = log.log_file.stat().st_size
            logs.cap(log, most=MEGABYTE)
            cuts += log.log_file.stat().st_size < size
    assert [writer.returncode for writer in writers] == [0] * 5
    texts.append(read_all(log, offset)[0])
    lines = "".join(texts).splitlines()
    written = [line for line in lines if not line.startswith("--- ")]
    assert cuts >= 2, "nothing was cut"
    assert all(" writer " in line and line.count("writer") == 1 for line in written)
    keys = [line.split("writer ")[1][:8] for line in written]
    assert len(keys) == len(set(keys))
    # each writer's lines come in order, and lines are missing only where a cut is shown
    latest = dict.fromkeys("01234", -1)
    maybe_cut = set[str]()
    for line in lines:
        if line.startswith("--- "):
            maybe_cut = set(latest)
            continue
        writer, number = line.split("writer ")[1].split()[:2]
        assert int(number) > latest[writer], line
        assert int(number) == latest[writer] + 1 or writer in maybe_cut, f"lines are missing before {line[:40]}"
        latest[writer] = int(number)
        maybe_cut.discard(writer)
    assert all(number == 3999 or writer in maybe_cut for writer, number in latest.items())


def test_a_process_that_is_stopped_while_cutting_blocks_no_reader_and_no_writer(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_LOCK_TIMEOUT", 0.1)
    logs.write(log, "before")
    with log.log_file.open("rb") as cutting:
        fcntl.flock(cutting, fcntl.LOCK_EX)
        logs.write(log, "meanwhile")
        assert logs.read(log)[0].endswith("meanwhile\n")


def test_the_log_is_not_cut_while_a_reader_holds_its_lock(log: Log) -> None:
    log.log_file.write_bytes(b"line\n" * MEGABYTE)
    with log.log_file.open("rb") as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        logs.cap(log, most=MEGABYTE)
        assert log.log_file.stat().st_size == 5 * MEGABYTE
    logs.cap(log, most=MEGABYTE)
    assert log.log_file.stat().st_size < MEGABYTE

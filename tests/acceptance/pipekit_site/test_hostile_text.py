"""Tests of hostile text from servers: on terminals and in logs, it has no effect and cannot imitate other lines."""

from __future__ import annotations

import io
import logging
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from connections.management.base import error_text
from connections.sdk.formatting import indented, one_line, visible
from connections.secrets.redaction import RedactingFilter
from pipekit_site.config.config import BASE_DIR
from runs import logs
from runs.cli import progress
from runs.engine import events
from runs.jrunner.reporter import Reporter

# colours, a title, a link (OSC 8), cursor movement, a bell, the CSI of C1, right-to-left text, other line breaks
HOSTILE = "\x1b[31mred\x1b]0;title\x07\x1b]8;;http://x.invalid\x1b\\link\x1b[2Aup\x9b2J\u202edrow\r\x00\x7f\u2028"
FORGED = f"bad\nfix:   manage.py secrets set X{HOSTILE}\nerror: other"


def is_harmless(text: str) -> bool:
    """Return whether the text has only printable characters, tabs and line breaks."""
    return all(char in "\t\n" or (char.isprintable() and ord(char) != 0x202E) for char in text)


def test_control_characters_are_replaced_by_visible_characters() -> None:
    assert visible("a\tb\nc\x1b[0m\x9b") == "a\tb\nc\u241b[0m\ufffd"
    assert is_harmless(visible(HOSTILE)) and not is_harmless(HOSTILE)
    assert indented("a\nb") == "a\n    b"
    assert one_line("a\nb") == "a\u2424b"


def test_an_error_cannot_imitate_other_lines_of_the_terminal() -> None:
    error = {"code": "query_invalid", "message": FORGED, "hint": FORGED, "detail": FORGED}
    lines = error_text(error).split("\n")
    assert all(map(is_harmless, lines))
    assert [line[:7] for line in lines if not line.startswith("       ")] == [
        "error: ",
        "fix:   ",
        "why:   ",
        "code:  ",
    ]


def test_progress_and_warnings_cannot_imitate_other_lines_of_the_terminal() -> None:
    stream = io.StringIO()
    on_event = progress.event_printer(SimpleNamespace(write=lambda text: stream.write(f"{text}\n")), quiet=False)
    on_event(events.Warned(FORGED))
    on_event(events.RouteChosen("arrow", FORGED))
    assert is_harmless(stream.getvalue())
    lines = stream.getvalue().splitlines()
    assert sum("bad" in line for line in lines) == 2
    assert all(line.startswith("  ") for line in lines)


def test_hostile_text_is_harmless_in_a_log_record() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(RedactingFilter())
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    try:
        raise ValueError(FORGED)
    except ValueError:
        record = logging.getLogger("x").makeRecord("x", 40, "f", 1, "message: %s", (FORGED,), sys.exc_info())
    handler.handle(record)
    assert is_harmless(stream.getvalue())
    message, _, traceback = stream.getvalue().partition("Traceback")
    assert "message: bad" in message and "\nfix:" not in message
    assert "ValueError: bad" in traceback


def test_hostile_text_is_harmless_in_the_log_of_jrunner(capsys: pytest.CaptureFixture[str]) -> None:
    Reporter(events=False).warning(FORGED)
    lines = capsys.readouterr().err.splitlines()
    assert all(map(is_harmless, lines))
    assert [line for line in lines if not line.startswith("    ")] == ["jrunner: warning: bad"]


def test_hostile_text_is_harmless_in_the_log_of_a_run(tmp_path: Path) -> None:
    run = SimpleNamespace(log_file=tmp_path / "1.log")
    logs.write(run, FORGED)
    text, _ = logs.read(run)
    assert is_harmless(text)
    assert [line[:8] for line in text.splitlines()[1:]] == ["    fix:", "    erro"]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_no_escape_sequence_that_a_command_prints_reaches_a_terminal(stream: str) -> None:
    code = (
        "import sys\nfrom pipekit_site.cli import command_line\n"
        f"with command_line.guarded():\n    print({HOSTILE!r}, file=sys.{stream})"
    )
    master, slave = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", code], cwd=BASE_DIR, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    output = b""
    # the end of a terminal is an OSError
    with suppress(OSError):
        while part := os.read(master, 65536):
            output += part
    process.wait(120)
    os.close(master)
    # the terminal ends each line with a carriage return and a line feed
    text = output.decode().replace("\r\n", "\n")
    assert is_harmless(text)
    assert "red" in text and "link" in text


def test_output_into_a_pipe_is_unchanged() -> None:
    code = "from pipekit_site.cli import command_line\nwith command_line.guarded():\n    print('a\\x1bb')"
    result = subprocess.run([sys.executable, "-c", code], cwd=BASE_DIR, capture_output=True, timeout=60)
    assert result.stdout == b"a\x1bb\n"

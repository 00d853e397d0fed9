"""A crontab program that fails in various ways, and calls of the commands that use it."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import Settings

from tests.processes.commands import exit_code

# keeps the crontab in the file `table` of its directory, and reads how to fail from the file `mode`
PROGRAM = """#!/bin/sh
cd "$(dirname "$0")"
mode=$(cat mode 2>/dev/null)
case "$1" in
  -l)
    [ "$mode" = unreadable ] && { echo "crontab: cannot open your crontab: Input/output error" >&2; exit 1; }
    [ -f table ] || { echo "no crontab for $(id -un)" >&2; exit 1; }
    cat table;;
  -r)
    rm -f table;;
  -)
    case "$mode" in
      refusing) cat >/dev/null; echo '"-":3: bad minute' >&2; exit 1;;
      silent) cat >/dev/null;;
      losing) rm mode; grep -v backup >table;;
      cutting) rm mode; head -c 40 >table;;
      broken) head -c 40 >table;;
      doubling) rm mode; cat >table; tail -n 1 table >>table;;
      *) cat >table;;
    esac;;
esac
"""
FOREIGN = (
    b"MAILTO=ops@example.com\n# nightly \xe4\xf6 # things\n\n@daily  /opt/backup.sh 'a%b'   # pipekit\n0 4 * * *\t/x\n"
)


class Program:
    """The crontab program of a test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        file = directory / "crontab"
        file.write_text(PROGRAM)
        file.chmod(0o755)

    @property
    def table(self) -> bytes | None:
        """The content of the crontab, None if there is none."""
        file = self.directory / "table"
        return file.read_bytes() if file.exists() else None

    @table.setter
    def table(self, text: bytes) -> None:
        (self.directory / "table").write_bytes(text)

    def fail_by(self, mode: str) -> None:
        """Set how the program fails from now on."""
        (self.directory / "mode").write_text(mode)


def install() -> None:
    call_command("installcron")


def error_of(capsys: pytest.CaptureFixture[str], command: str = "installcron") -> str:
    """Call a command that must fail; return its error message."""
    assert exit_code(command) == 1
    output = capsys.readouterr()
    assert output.out == ""
    return output.err


def own_lines(program: Program, settings: Settings) -> list[bytes]:
    """Return the lines of the crontab that this installation has written."""
    mark = f"# {settings.CRONTAB_COMMENT}".encode()
    return [line for line in (program.table or b"").split(b"\n") if line.endswith(mark)]

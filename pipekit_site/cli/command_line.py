"""Runs a command with handling of closed streams, broken pipes, Ctrl+C and unexpected exceptions.

Prints a message instead of a traceback, unless `--traceback` is given. Uses only the standard library, as it is needed
before Django is set up.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper

from connections.management.exit_codes import ExitCode
from connections.sdk.files.path_problem import advice
from connections.sdk.formatting import visible


@contextmanager
def guarded() -> Iterator[None]:
    """Run the block as a command. Only SystemExit leaves it (with `--traceback`, other exceptions too)."""
    _open_missing()
    # Django's colours are escape sequences, which the terminal streams below do not let through
    os.environ["DJANGO_COLORS"] = "nocolor"
    # output is UTF-8 whatever the locale is
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
        if sys.stdout.isatty():
            sys.stdout = TerminalStdout(sys.stdout)
    sys.stderr = Stderr(os.fdopen(os.dup(2), "wb"), encoding="utf-8", errors="backslashreplace", line_buffering=True)
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(ExitCode.CANCELLED) from None
    except BrokenPipeError:
        # the reader of the output has closed it, as head does
        raise SystemExit(ExitCode.CANCELLED) from None
    except Exception as error:
        if "--traceback" in sys.argv:
            raise
        print(_message(error), file=sys.stderr)
        raise SystemExit(ExitCode.FAILED) from None
    finally:
        _flush()


class Stderr(TextIOWrapper):
    """The standard error stream, which ignores errors, so that a command does not fail because its log is closed."""

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            super().write(visible(text))
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            super().flush()


class TerminalStdout(TextIOWrapper):
    """Standard output to a terminal without escape sequences; ``unfiltered`` is the stream for progress bars."""

    def __init__(self, stream: TextIOWrapper) -> None:
        super().__init__(os.fdopen(os.dup(1), "wb"), encoding="utf-8", errors="backslashreplace", line_buffering=True)
        self.unfiltered = stream

    def write(self, text: str) -> int:
        super().write(visible(text))
        return len(text)


def _open_missing() -> None:
    """Open closed standard streams (`>&-`) on /dev/null, lest the next opened file gets their descriptor and output."""
    for number, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"error: {place}{error.strerror}.\nfix:   {advice(error)}"
    # errors of settings and connections may contain a password
    text = _redacted(f"{type(error).__name__}: {error}")
    fix = "Report it, with the output of the same command with --traceback."
    return f"error: Pipekit failed unexpectedly: {text}\nfix:   {fix}"


def _redacted(text: str) -> str:
    from connections.secrets.redaction import redactor

    return redactor().text(text)


def _flush() -> None:
    """Flush stdout now: if it fails at exit, Python prints an error of its own and exits with code 120."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _abandon_stdout()
    except (OSError, ValueError) as error:
        print(f"error: The output could not be written: {getattr(error, 'strerror', '') or error}.", file=sys.stderr)
        _abandon_stdout()


def _abandon_stdout() -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)

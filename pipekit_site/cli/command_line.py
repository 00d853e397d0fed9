"""What every command is run in: streams that are closed or go away, Ctrl+C, and failures that nobody foresaw.

Ends the process with a message where Python would print a traceback (`--traceback` still shows it). Standard library
only: it is there before Django is.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper

from connections.sdk.visible_text import visible

# as a shell says it of a program that Ctrl+C has ended
INTERRUPTED = 130


@contextmanager
def guarded() -> Iterator[None]:
    """Run a command; what leaves this is SystemExit."""
    _open_missing()
    # Django's colours are escape sequences, which none may be here
    os.environ["DJANGO_COLORS"] = "nocolor"
    # whatever the machine's own encoding is, what is exported and listed is UTF-8
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
        if sys.stdout.isatty():
            sys.stdout = Shown(sys.stdout)
    sys.stderr = Told(os.fdopen(os.dup(2), "wb"), encoding="utf-8", errors="backslashreplace", line_buffering=True)
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        # whoever read the output has had enough
        raise SystemExit(INTERRUPTED) from None
    except Exception as error:
        if "--traceback" in sys.argv:
            raise
        print(_told(error), file=sys.stderr)
        raise SystemExit(1) from None
    finally:
        _flush()


class Told(TextIOWrapper):
    """stderr: progress and messages, which must not fail what they tell of when nobody can take them any more."""

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            super().write(visible(text))
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            super().flush()


class Shown(TextIOWrapper):
    """stdout of a terminal, which obeys no text of others; ``unfiltered`` is for what draws on it."""

    def __init__(self, stream: TextIOWrapper) -> None:
        super().__init__(os.fdopen(os.dup(1), "wb"), encoding="utf-8", errors="backslashreplace", line_buffering=True)
        self.unfiltered = stream

    def write(self, text: str) -> int:
        super().write(visible(text))
        return len(text)


def _open_missing() -> None:
    """Open what was closed (`>&-`): the next file opened would get its number, and with it what is printed."""
    for number, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


def _told(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"error: {place}{error.strerror}.\nfix:   {_advice(error)}"
    # settings and connections may show a password in what they say
    said = _redacted(f"{type(error).__name__}: {error}")
    fix = "The same with --traceback shows where; report it."
    return f"error: Pipekit failed in a way it should not: {said}\nfix:   {fix}"


def _advice(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Make room on that disk."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "Run as the user that owns the data directory, on a disk that can be written."
    return "Look at that file or directory: manage.py doctor."


def _redacted(text: str) -> str:
    from connections.secrets.redaction import redactor

    return redactor().text(text)


def _flush() -> None:
    """Flush stdout here: at exit Python would complain of a stream that is gone and exit with a code of its own."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _abandon_stdout()
    except (OSError, ValueError) as error:
        print(f"error: The output could not be written: {getattr(error, 'strerror', '') or error}.", file=sys.stderr)
        _abandon_stdout()


def _abandon_stdout() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)

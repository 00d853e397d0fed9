"""The command of jrunner: starts the transfer of a job or of flags, in a process independent of its environment."""

from __future__ import annotations

import io
import logging
import os
import sys
import time

from connections.sdk.process_memory import keep_private
from connections.secrets.redaction import RedactingFilter
from runs.jrunner import flags
from runs.jrunner.cancel import Cancellation, Parent, cancel_on_signals
from runs.jrunner.supervise import run_supervised
from runs.jrunner.transfer import JobTransfer

# variables of libpq and the server that would change a session
_IGNORED_VARIABLES = (
    "PGTZ",
    "PGDATESTYLE",
    "PGOPTIONS",
    "PGCLIENTENCODING",
    "PGGEQO",
    "PGAPPNAME",
    "PGSERVICE",
    "PGSERVICEFILE",
)


def main(arguments: list[str]) -> int:
    """Run the transfer that the arguments describe, and exit with its exit code."""
    isolate()
    parent, cancellation = Parent(), Cancellation()
    cancel_on_signals(cancellation)
    options = flags.parse(arguments)
    if options.job:
        parent.follow(cancellation)
        return run_supervised(JobTransfer(cancellation, options.load).run, cancellation, parent)
    # imported late: a job needs none of it
    from runs.jrunner import flags_transfer

    transfer = flags_transfer.PrintTransfer if options.f else flags_transfer.FlagsTransfer
    return run_supervised(transfer(options, cancellation).run, cancellation, None)


def isolate() -> None:
    """Make the process independent of the machine's time zone, encoding and libpq variables; disable core dumps.

    Call it before any driver is imported, because drivers read these settings when they load.
    """
    # a core dump could contain secrets
    keep_private()
    # libraries log to standard error, which is the log of the run
    if logging.lastResort:
        logging.lastResort.addFilter(RedactingFilter())
    for name in _IGNORED_VARIABLES:
        os.environ.pop(name, None)
    os.environ["TZ"] = "UTC"
    # Arrow's own allocators keep freed memory; the system's returns it
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    time.tzset()
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a lone surrogate must not keep an error from being reported
            stream.reconfigure(encoding="utf-8", errors="backslashreplace" if stream is not sys.stdin else "strict")

"""The command line of jrunner: its flags, and the environment of its process."""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
import time

from connections.sdk.process_memory import keep_private
from connections.secrets.redaction import RedactingFilter
from runs.jrunner.cancel import Cancellation, Parent, cancel_on_signals, run
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
_DESCRIPTION = """\
Copies the rows of a source query into a table, with their exact values and in one transaction.
The destination table is created from the query's types when it does not exist."""
_EPILOG = """\
passwords: -scp and -dcp take $NAME (the value of that environment variable; write '$NAME' in quotes, or your shell
puts the value itself into the arguments) or - (one line of standard input each, the source's first; prompted for when
standard input is a terminal). A password written out is visible to every user of this machine.

output: JSON lines on standard output (route, progress, waiting, warning, then done or error), a log on standard error;
with -f rows on standard output. Exit code 0 done, 1 failed, 2 usage error, 130 cancelled."""


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m runs.jrunner",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--job", choices=["-"], help="read everything as a JSON job from standard input instead of flags"
    )
    parser.add_argument("-scu", metavar="URL", help="source: JDBC URL, the system's own URL, or a file")
    parser.add_argument("-scn", metavar="NAME", default="", help="source: username")
    parser.add_argument("-scp", metavar="PASSWORD", default="", help="source: password, as $NAME or - (see below)")
    parser.add_argument("-dcu", metavar="URL", help="destination: URL")
    parser.add_argument("-dcn", metavar="NAME", default="", help="destination: username")
    parser.add_argument("-dcp", metavar="PASSWORD", default="", help="destination: password, as $NAME or -")
    parser.add_argument("-sq", metavar="FILE", help="file with the source query")
    parser.add_argument("-dt", metavar="TABLE", help="destination table, as schema.table")
    parser.add_argument("-t", action="store_true", help="trim trailing blanks from text")
    parser.add_argument("-c", action="store_true", help="clear the table first, in the same transaction")
    parser.add_argument("-f", choices=["csv", "tsv", "json"], help="print the rows instead of writing them")
    parser.add_argument("--strip-nul", action="store_true", help="remove NUL bytes from text instead of failing")
    return parser


def main(arguments: list[str]) -> int:
    """Run the transfer that the arguments describe, and exit with its exit code."""
    isolate()
    parent, cancellation = Parent(), Cancellation()
    cancel_on_signals(cancellation)
    options = argument_parser().parse_args(arguments)
    if options.job:
        parent.follow(cancellation)
        return run(JobTransfer(cancellation).run, cancellation, parent)
    _require(options, ("scu", "sq") if options.f else ("scu", "sq", "dcu", "dt"))
    # imported late: a job needs none of it
    from runs.jrunner import flags_transfer

    transfer = flags_transfer.PrintTransfer if options.f else flags_transfer.FlagsTransfer
    return run(transfer(options, cancellation).run, cancellation, None)


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


def _require(options: argparse.Namespace, names: tuple[str, ...]) -> None:
    if missing := [f"-{name}" for name in names if not getattr(options, name)]:
        argument_parser().error(f"{', '.join(missing)} needed")

"""The command line of jrunner: its flags, the transfer they start, and the exit code."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import time
import traceback
from collections.abc import Callable

from connections.sdk import lock_waits
from connections.sdk.errors import Cancelled, ConfigurationInvalid, InternalError, PipekitError
from connections.sdk.process_memory import keep_private
from runs.jrunner.cancel import Cancellation, Parent, cancel_on_signals, run
from runs.jrunner.job import Job, TransferResult
from runs.jrunner.progress import periodic_reports
from runs.jrunner.protocol import Reporter

_FAILED, _CANCELLED = 1, 130
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
        return run(
            lambda: _report_early_errors(lambda: transfer(_parse_job(sys.stdin.read()), cancellation)),
            cancellation,
            parent,
        )
    _require(options, ("scu", "sq") if options.f else ("scu", "sq", "dcu", "dt"))
    work = _print_rows if options.f else _transfer_by_flags
    return run(
        lambda: _report_early_errors(lambda: work(options, cancellation), events=not options.f), cancellation, None
    )


def isolate() -> None:
    """Make the process independent of the machine's time zone, encoding and libpq variables; disable core dumps.

    Call it before any driver is imported, because drivers read these settings when they load.
    """
    # a core dump could contain secrets
    keep_private()
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


def _parse_job(text: str) -> Job:
    try:
        data = json.loads(text)
    except ValueError:
        raise ConfigurationInvalid(
            "The job on standard input is not valid JSON.", hint="See runs/jrunner/job.py."
        ) from None
    return Job.from_json(data)


def transfer(job: Job, cancellation: Cancellation) -> int:
    """Copy the job's rows by the fastest exact route; return the exit code. Results and errors are reported."""
    return _run_and_report(Reporter(job.secrets), lambda reporter: _copy(job, reporter, cancellation))


def _copy(job: Job, reporter: Reporter, cancellation: Cancellation) -> tuple[str, TransferResult]:
    from runs.jrunner.routes.choose import choose

    idle_timeout = float(job.options.get("no_progress_timeout", 0))
    with periodic_reports(reporter, idle_timeout=idle_timeout), lock_waits.reported_to(reporter.waiting):
        route = choose(job)
        reporter.route(route.name, route.why)
        return route.name, route.copy(job, reporter, cancellation)


def _transfer_by_flags(options: argparse.Namespace, cancellation: Cancellation) -> int:
    from runs.jrunner import flags

    flags.protect()
    source, destination = flags.source_of(options), flags.destination_of(options)

    def copy(reporter: Reporter) -> tuple[str, TransferResult]:
        prepared = flags.prepare_job(options, source, destination)
        try:
            return _copy(prepared.job, reporter, cancellation)
        except BaseException:
            prepared.drop_created_table()
            raise

    return _run_and_report(Reporter((source.password, destination.password)), copy)


def _print_rows(options: argparse.Namespace, cancellation: Cancellation) -> int:
    from runs.jrunner import flags, output_formats
    from runs.jrunner.routes import arrow

    flags.protect()
    source = flags.source_of(options)

    def print_rows(reporter: Reporter) -> tuple[str, TransferResult]:
        job, writer = flags.printing_job(options, source), output_formats.PrintingWriter(options.f)
        return "arrow", arrow.copy(job, reporter, cancellation, writer=writer)

    return _run_and_report(Reporter((source.password,), events=False), print_rows)


def _run_and_report(reporter: Reporter, work: Callable[[Reporter], tuple[str, TransferResult]]) -> int:
    try:
        route, result = work(reporter)
    except PipekitError as error:
        reporter.error(error)
        return _CANCELLED if isinstance(error, Cancelled) else _FAILED
    except Exception as error:
        detail = "".join(traceback.format_exception(error))
        reporter.error(InternalError(f"{type(error).__name__}: {error}", hint="Please report this.", detail=detail))
        return _FAILED
    reporter.done(route, read=result.read, written=result.written, size=result.size)
    return 0


def _report_early_errors(work: Callable[[], int], *, events: bool = True) -> int:
    """Report errors raised before there is a job, which cannot contain its secrets."""
    try:
        return work()
    except PipekitError as error:
        Reporter(events=events).error(error)
        return _FAILED

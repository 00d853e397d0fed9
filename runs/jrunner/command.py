"""jrunner's command line: flags, what is done with them, and the exit code."""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Callable

from connections.sdk import lock_waits
from connections.sdk.errors import Cancelled, ConfigurationInvalid, InternalError, PipekitError
from runs.jrunner import environment
from runs.jrunner.cancel import Cancellation, Parent, on_signals, run
from runs.jrunner.job import Job
from runs.jrunner.moved import Moved
from runs.jrunner.progress import Reporter
from runs.jrunner.ticks import beating

_FAILED, _CANCELLED = 1, 130
_DESCRIPTION = """\
Moves the rows of a source query into a table, as fast as the two systems allow and exactly, in one transaction.
The destination table is created from the query's types when it does not exist."""
_EPILOG = """\
passwords: -scp and -dcp take $NAME (the value of that environment variable; write '$NAME' in quotes, or your shell
puts the value itself into the arguments) or - (one line of standard input each, the source's first; asked for when
standard input is a terminal). A password written out is visible to every user of this machine.

output: JSON lines on standard output (route, progress, waiting, warning, then done or error), a log on standard error;
with -f rows on standard output. Exit code 0 done, 1 failed, 2 used wrongly, 130 cancelled."""


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="python -m runs.jrunner",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    found.add_argument(
        "--job", choices=["-"], help="read everything as a JSON job from standard input instead of flags"
    )
    found.add_argument("-scu", metavar="URL", help="source: JDBC URL, the system's own URL, or a file")
    found.add_argument("-scn", metavar="NAME", default="", help="source: username")
    found.add_argument("-scp", metavar="PASSWORD", default="", help="source: password, as $NAME or - (see below)")
    found.add_argument("-dcu", metavar="URL", help="destination: URL")
    found.add_argument("-dcn", metavar="NAME", default="", help="destination: username")
    found.add_argument("-dcp", metavar="PASSWORD", default="", help="destination: password, as $NAME or -")
    found.add_argument("-sq", metavar="FILE", help="file with the source query")
    found.add_argument("-dt", metavar="TABLE", help="destination table, as schema.table")
    found.add_argument("-t", action="store_true", help="trim blanks from the end of text")
    found.add_argument("-c", action="store_true", help="clear the table first, in the same transaction")
    found.add_argument("-f", choices=["csv", "tsv", "json"], help="print the rows instead of writing them")
    found.add_argument("--strip-nul", action="store_true", help="take NUL bytes out of text instead of failing")
    return found


def main(arguments: list[str]) -> int:
    environment.neutralise()
    parent, cancellation = Parent(), Cancellation()
    on_signals(cancellation)
    flags = parser().parse_args(arguments)
    if flags.job:
        parent.follow(cancellation)
        return run(lambda: _told(lambda: transfer(_job_of(sys.stdin.read()), cancellation)), cancellation, parent)
    _require(flags, ("scu", "sq") if flags.f else ("scu", "sq", "dcu", "dt"))
    work = _printed if flags.f else _by_hand
    return run(lambda: _told(lambda: work(flags, cancellation), events=not flags.f), cancellation, None)


def _require(flags: argparse.Namespace, names: tuple[str, ...]) -> None:
    if missing := [f"-{name}" for name in names if not getattr(flags, name)]:
        parser().error(f"{', '.join(missing)} needed")


def _job_of(text: str) -> Job:
    try:
        data = json.loads(text)
    except ValueError:
        raise ConfigurationInvalid("The job on standard input is no JSON.", hint="See runs/jrunner/job.py.") from None
    return Job.from_json(data)


def transfer(job: Job, cancellation: Cancellation) -> int:
    """Move the job's rows by the route that suits it; return the exit code, everything else is reported."""
    return _reported(Reporter(job.secrets), lambda reporter: _routed(job, reporter, cancellation))


def _routed(job: Job, reporter: Reporter, cancellation: Cancellation) -> tuple[str, Moved]:
    from runs.jrunner.routes.choose import choose

    borne = float(job.options.get("no_progress_timeout", 0))
    with beating(reporter, borne=borne), lock_waits.reported_to(reporter.waiting):
        route = choose(job)
        reporter.route(route.name, route.why)
        return route.name, route.copy(job, reporter, cancellation)


def _by_hand(flags: argparse.Namespace, cancellation: Cancellation) -> int:
    from runs.jrunner import flags as by_hand

    by_hand.protect()
    source, destination = by_hand.source_of(flags), by_hand.destination_of(flags)

    def move(reporter: Reporter) -> tuple[str, Moved]:
        made = by_hand.job_of(flags, source, destination)
        try:
            return _routed(made.job, reporter, cancellation)
        except BaseException:
            made.undo()
            raise

    return _reported(Reporter((source.password, destination.password)), move)


def _printed(flags: argparse.Namespace, cancellation: Cancellation) -> int:
    from runs.jrunner import flags as by_hand
    from runs.jrunner import protocol
    from runs.jrunner.routes import arrow

    by_hand.protect()
    source = by_hand.source_of(flags)

    def print_rows(reporter: Reporter) -> tuple[str, Moved]:
        job, writer = by_hand.printing_job_of(flags, source), protocol.PrintingWriter(flags.f)
        return "arrow", arrow.copy(job, reporter, cancellation, writer=writer)

    return _reported(Reporter((source.password,), events=False), print_rows)


def _reported(reporter: Reporter, work: Callable[[Reporter], tuple[str, Moved]]) -> int:
    try:
        route, moved = work(reporter)
    except PipekitError as error:
        reporter.error(error)
        return _CANCELLED if isinstance(error, Cancelled) else _FAILED
    except Exception as error:
        detail = "".join(traceback.format_exception(error))
        reporter.error(InternalError(f"{type(error).__name__}: {error}", hint="Please report this.", detail=detail))
        return _FAILED
    reporter.done(route, read=moved.read, written=moved.written, size=moved.size)
    return 0


def _told(work: Callable[[], int], *, events: bool = True) -> int:
    """Report what goes wrong before there is a job; such errors hold no secret."""
    try:
        return work()
    except PipekitError as error:
        Reporter(events=events).error(error)
        return _FAILED

"""One transfer: takes its job, chooses a route, copies the rows, and reports the result or the error."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence

from connections.sdk import lock_wait_reports
from connections.sdk.errors import Cancelled, ConfigurationInvalid, InternalError, PipekitError
from connections.sdk.row_counts import TransferResult
from runs.jrunner.cancel import CANCELLED, FAILED, Cancellation
from runs.jrunner.job import Job
from runs.jrunner.progress_reports import periodic_reports
from runs.jrunner.reporter import Reporter
from runs.jrunner.routes.choose import choose_route, load


class Transfer:
    """A transfer of the job that `execute` takes. Without ``events``, standard output is reserved for rows."""

    def __init__(self, cancellation: Cancellation, *, events: bool = True) -> None:
        self.cancellation = cancellation
        self.reporter = Reporter(events=events)

    def run(self) -> int:
        """Execute the transfer and report the result or the error, as an event; return the exit code."""
        try:
            route, result = self.execute()
        except Exception as error:
            reported, code = _failure(error)
            self.reporter.error(reported)
            return code
        self.reporter.done(route, read=result.read, written=result.written, size=result.size)
        return 0

    def execute(self) -> tuple[str, TransferResult]:
        """Take the job, call ``reporter.begin`` and copy the rows; return the name of the route and the counts."""
        raise NotImplementedError

    def copy(self, job: Job) -> tuple[str, TransferResult]:
        """Copy the job's rows by the fastest exact route; return its name and the counts."""
        no_progress_timeout = float(job.options.get("no_progress_timeout", 0))
        with (
            periodic_reports(self.reporter, no_progress_timeout=no_progress_timeout),
            lock_wait_reports.reported_to(self.reporter.waiting),
        ):
            route = choose_route(job)
            self.reporter.route(route.name, route.why)
            return route.name, route.copy(job, self.reporter, self.cancellation)


class JobTransfer(Transfer):
    """The transfer of a JSON job on standard input, with which the engine starts jrunner.

    ``kinds`` are those of the source and the destination, if they are known before the job arrives.
    """

    def __init__(self, cancellation: Cancellation, kinds: Sequence[str] | None = None) -> None:
        super().__init__(cancellation)
        self.kinds = kinds

    def execute(self) -> tuple[str, TransferResult]:
        if self.kinds:
            load(*self.kinds)
        text = sys.stdin.read()
        if self.kinds and not text:
            # the run that started this process has ended before, and says why
            raise Cancelled("No job arrived on standard input.", hint="Nothing was read or written.")
        job = _parse_job(text)
        self.reporter.begin(job.secrets)
        return self.copy(job)


def _parse_job(text: str) -> Job:
    try:
        data = json.loads(text)
    except ValueError:
        raise ConfigurationInvalid(
            "The job on standard input is not valid JSON.", hint="See runs/jrunner/job.py."
        ) from None
    return Job.from_json(data)


def _failure(error: Exception) -> tuple[PipekitError, int]:
    """Return the error to report, and the exit code."""
    if isinstance(error, PipekitError):
        return error, CANCELLED if isinstance(error, Cancelled) else FAILED
    detail = "".join(traceback.format_exception(error))
    return InternalError(f"{type(error).__name__}: {error}", hint="Please report this.", detail=detail), FAILED

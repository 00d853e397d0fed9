"""The transfer without a child process, for tests of many runs: the same routes, readers and writers."""

from __future__ import annotations

from collections.abc import Iterator

from runs.engine import transfer as transferring
from runs.engine.events import Event
from runs.engine.plan import Plan
from runs.jrunner.cancel import Cancellation
from runs.jrunner.job import Job
from runs.jrunner.protocol import Reporter
from runs.jrunner.routes.choose import choose


def transfer(plan: Plan, work: Job) -> Iterator[Event]:
    job = Job.from_json(work.as_json())
    moved = choose(job).copy(job, Reporter(events=False), Cancellation())
    yield transferring.staged({"rows_read": moved.read, "rows_written": moved.written, "bytes": moved.size})

"""A transfer in this process, by the same routes, readers and writers, which is faster in tests of many runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import pytest

from runs.engine import jrunner_process, sync
from runs.engine.events import Event
from runs.engine.jrunner_process import JrunnerProcess
from runs.engine.plan import Plan
from runs.engine.reconcile import key_sync
from runs.engine.transfer import staged
from runs.jrunner.cancel import Cancellation
from runs.jrunner.job import Job
from runs.jrunner.protocol import DoneMessage
from runs.jrunner.reporter import Reporter
from runs.jrunner.routes.choose import choose_route


def use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all runs transfer their rows in this process."""
    monkeypatch.setattr(jrunner_process, "started", _nothing)
    monkeypatch.setattr(sync, "transfer_rows", transfer)
    monkeypatch.setattr(key_sync, "transfer_rows", transfer)


def _nothing(plan: Plan) -> AbstractContextManager[None]:
    return nullcontext()


def transfer(plan: Plan, job: Job, process: JrunnerProcess | None = None) -> Iterator[Event]:
    """Copy the rows, yielding what `runs.engine.transfer.transfer_rows` yields at the end."""
    # the job as jrunner receives it
    received = Job.from_json(job.as_json())
    result = choose_route(received).copy(received, Reporter(events=False), Cancellation())
    done = DoneMessage(route="", rows_read=result.read, rows_written=result.written, bytes=result.size, seconds=0.0)
    yield staged(done)

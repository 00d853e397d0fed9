"""Step three, transfer: runs jrunner as a child process, which copies the rows into staging and counts them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from connections.sdk.claim import Claim
from connections.sdk.errors import CountMismatch, Lost, from_dict
from connections.sdk.formatting import visible
from connections.sdk.schema import Column, TableName
from connections.secrets.redaction import redactor
from runs import logs
from runs.engine.events import Event, RouteChosen, Staged, TransferProgress, Waiting, Warned
from runs.engine.jrunner_output import ProgressTimer, messages
from runs.engine.jrunner_process import JrunnerProcess
from runs.engine.plan import Plan
from runs.jrunner.job import Job
from runs.jrunner.protocol import (
    DoneMessage,
    ErrorMessage,
    ProgressMessage,
    RouteMessage,
    WaitingMessage,
    WarningMessage,
)


def build_job(
    plan: Plan,
    *,
    query: str,
    table: TableName,
    columns: Sequence[Column],
    typed: bool,
    claim: Claim,
    freeze: bool = False,
) -> Job:
    """Return the job that copies the query's rows into a staging table. ``typed`` and ``freeze``: see `Job`."""
    options: dict[str, Any] = {
        "nul_bytes": "strip" if plan.strip_nul_bytes else "fail",
        "no_progress_timeout": plan.no_progress_timeout,
    }
    if plan.jrunner_path:
        options["external"] = plan.jrunner_path
    return Job(
        source=plan.source,
        query=query,
        destination=plan.destination,
        table=table,
        columns=tuple(columns),
        typed=typed,
        clear=freeze,
        freeze=freeze,
        claim=claim,
        options=options,
    )


def transfer_rows(plan: Plan, work: Job, process: JrunnerProcess | None = None) -> Iterator[Event]:
    """Copy the rows, yielding events; the last one is Staged. Without a ``process`` it is started here.

    Raises the error that jrunner reports, Lost when it died without reporting one, NoProgress when it is idle for
    longer than the plan's no_progress_timeout, CountMismatch when its two counts differ.
    """
    process = process or JrunnerProcess(plan)
    done: DoneMessage | None = None
    finished = False
    try:
        process.send(work)
        for message in messages(process.output, ProgressTimer(plan.no_progress_timeout), partial(_log, plan)):
            if isinstance(message, ErrorMessage):
                raise from_dict(message.error)
            if isinstance(message, DoneMessage):
                done = message
            else:
                yield _event(message)
        finished = True
    finally:
        process.end(terminate=not finished)
    if done is None:
        raise Lost(
            f"jrunner ended without a result ({process.exit_status()}); nothing was published.",
            hint="Run it again; if it happens again, check the kernel's out-of-memory messages.",
        )
    yield staged(done)


def _log(plan: Plan, line: str) -> None:
    """Append a line that jrunner printed to its log, where also its standard error goes. An OSError is ignored."""
    text = f"jrunner: {visible(redactor().text(line))}\n"
    if not plan.log_path:
        sys.stderr.write(text)
        return
    with suppress(OSError), logs.open_to_append(Path(plan.log_path)) as log:
        log.write(text.encode(errors="backslashreplace"))


def _event(message: RouteMessage | ProgressMessage | WaitingMessage | WarningMessage) -> Event:
    match message:
        case ProgressMessage():
            return TransferProgress(message.rows, message.bytes)
        case RouteMessage():
            return RouteChosen(message.route, message.why)
        case WaitingMessage():
            return Waiting(message.message)
        case WarningMessage():
            return Warned(message.message)


def staged(done: DoneMessage) -> Staged:
    """Return the event for jrunner's result. Raises CountMismatch when its two counts differ."""
    if done.rows_read != done.rows_written:
        raise CountMismatch(
            f"The source delivered {done.rows_read} rows, staging holds {done.rows_written}; nothing was published.",
            hint="Run it again.",
        )
    return Staged(done.rows_written, done.bytes)

"""Step three, transfer: runs jrunner as a child process, which copies the rows into staging and counts them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
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

# seconds for the child to end: its own grace period, and the time in which it terminates its sessions
_GRACE = 11.0
_ROOT = Path(__file__).resolve().parent.parent.parent
# the environment variables that the child inherits, none of which can contain a secret
_ENVIRONMENT = (
    "PATH",
    "PYTHONPATH",
    "HOME",
    "LANG",
    "TMPDIR",
    "VIRTUAL_ENV",
    "JAVA_HOME",
    "PIPEKIT_FAULTS",
    "PIPEKIT_WITHOUT_COMPILED",
    "PIPEKIT_FAULT_LOG",
)


def command() -> tuple[list[str], dict[str, str]]:
    """Return (argv, env) of the child, neither of which contains a secret."""
    env = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    env |= {"PYTHONUNBUFFERED": "1", "JRUNNER_PARENT": str(os.getpid())}
    return [sys.executable, "-m", "runs.jrunner", "--job", "-"], env


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


def transfer_rows(plan: Plan, work: Job) -> Iterator[Event]:
    """Copy the rows, yielding events; the last one is Staged.

    Raises the error that jrunner reports, Lost when it died without reporting one, NoProgress when it is idle for
    longer than the plan's no_progress_timeout, CountMismatch when its two counts differ.
    """
    child = _start(plan)
    done: DoneMessage | None = None
    finished = False
    try:
        _send_job(child, work)
        for message in messages(child, ProgressTimer(plan.no_progress_timeout), partial(_log, plan)):
            if isinstance(message, ErrorMessage):
                raise from_dict(message.error)
            if isinstance(message, DoneMessage):
                done = message
            else:
                yield _event(message)
        finished = True
    finally:
        _end(child, terminate=not finished)
    if done is None:
        raise Lost(
            f"jrunner ended without a result ({_exit_status(child.returncode)}); nothing was published.",
            hint="Run it again; if it happens again, check the kernel's out-of-memory messages.",
        )
    yield staged(done)


def _start(plan: Plan) -> subprocess.Popen[bytes]:
    argv, env = command()
    with logs.open_to_append(Path(plan.log_path)) if plan.log_path else nullcontext() as log:
        return subprocess.Popen(
            argv,
            env=env,
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )


def _send_job(child: subprocess.Popen[bytes], work: Job) -> None:
    assert child.stdin is not None
    try:
        child.stdin.write(json.dumps(work.as_json()).encode())
        child.stdin.close()
    except BrokenPipeError:
        # it died at once, which `transfer_rows` reports when the result is missing
        return


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


def _end(child: subprocess.Popen[bytes], *, terminate: bool) -> None:
    """Wait for the child to end, after SIGTERM if ``terminate``; kill it if it takes too long."""
    if child.stdout:
        child.stdout.close()
    if terminate and child.poll() is None:
        child.send_signal(signal.SIGTERM)
    try:
        child.wait(timeout=_GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _exit_status(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

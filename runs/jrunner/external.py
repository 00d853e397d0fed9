"""The external route: the executable that ``jrunner_path`` names moves the rows; we count them on the destination.

It is called with the flags of the tool users have: ``-scu -scn -dcu -dcn -sq FILE -dt TABLE [-t] [-c]``. Passwords are
never arguments: ``-scp`` and ``-dcp`` get the names ``$JRUNNER_SCP`` and ``$JRUNNER_DCP``, whose values are in the
environment. A tool that does not know such names needs a small wrapper script that passes them on in its own way.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from pathlib import Path

from connections.registry import connector, dialect_for
from connections.sdk.capabilities import Cap
from connections.sdk.errors import Cancelled, DriverMissing, ExternalFailed, InternalError
from connections.sdk.parameters import ConnectionParameters
from runs.jrunner.cancelling import Cancellation
from runs.jrunner.job import Job
from runs.jrunner.moved import Moved
from runs.jrunner.progress import Reporter
from runs.jrunner.pulse import answers

_LAST_LINES = 20
_GRACE = 5.0
_NOT_EXECUTABLE = (126, 127)


def command_line(job: Job, executable: str, query_file: str) -> tuple[list[str], dict[str, str]]:
    """Return (argv, environment) of the call; the secrets are only in the environment."""
    argv = [executable]
    argv += ["-scu", job.source.url, "-scn", job.source.username, "-scp", "$JRUNNER_SCP"]
    argv += ["-dcu", job.destination.url, "-dcn", job.destination.username, "-dcp", "$JRUNNER_DCP"]
    argv += ["-sq", query_file, "-dt", str(job.table)]
    argv += ["-t"] if job.trim else []
    argv += ["-c"] if job.clear else []
    return argv, {**os.environ, "JRUNNER_SCP": job.source.password, "JRUNNER_DCP": job.destination.password}


def copy(job: Job, reporter: Reporter, cancellation: Cancellation) -> Moved:
    """Run the executable; rows are the difference of the destination's own counts, which is all that can be checked."""
    # nobody sees into the program: as long as both systems are there it is believed to be at work
    reporter.at_work = lambda: answers(job.source) and answers(job.destination)
    before = 0 if job.clear else _count(job.destination, job)
    _check_claim(job)
    with tempfile.TemporaryDirectory(prefix="jrunner-") as directory:
        query_file = Path(directory) / "query.sql"
        query_file.write_text(job.query, encoding="utf-8")
        _run(*command_line(job, str(job.options["external"]), str(query_file)), reporter, cancellation)
    written = _count(job.destination, job) - before
    return Moved(read=written, written=written, size=0)


def _run(argv: list[str], environment: dict[str, str], reporter: Reporter, cancellation: Cancellation) -> None:
    try:
        process = subprocess.Popen(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise _unusable(argv[0], str(error)) from None
    cancellation.calls(lambda: _stop(process))
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        reporter.log(line.rstrip("\n"))
        lines = [*lines[1 - _LAST_LINES :], line]
    code = process.wait()
    cancellation.check()
    if code in _NOT_EXECUTABLE:
        raise _unusable(argv[0], "".join(lines))
    if code == 128 + signal.SIGINT:
        raise Cancelled(f"{argv[0]} was interrupted.")
    if code:
        raise ExternalFailed(
            f"{argv[0]} ended with exit code {code}.",
            hint="Its last lines are below; what it wrote before is in the staging table only.",
            detail="".join(lines),
        )


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()


def _unusable(executable: str, detail: str) -> DriverMissing:
    return DriverMissing(
        f"{executable} cannot be run.", hint="Check jrunner_path; null means the bundled jrunner.", detail=detail
    )


def _check_claim(job: Job) -> None:
    """Ask once: the transaction that writes is the program's, where nothing can be held."""
    if job.claim:
        with contextlib.closing(connector(job.destination.kind, Cap.WRITE).connect(job.destination)) as session:
            job.claim.check(session.fetch(job.claim.sql))


def _count(parameters: ConnectionParameters, job: Job) -> int:
    found = connector(parameters.kind, Cap.WRITE)
    session = found.connect(parameters)
    try:
        rows = session.fetch(f"SELECT count(*) FROM {dialect_for(parameters).qualified(job.table)}")
    finally:
        session.close()
    if not rows:
        raise InternalError("The destination did not answer a count.")
    return int(rows[0][0])

"""The external route: the executable named by ``jrunner_path`` copies the rows; they are counted in the destination.

It is called with jrunner's own flags: ``-scu -scn -dcu -dcn -sq FILE -dt TABLE [-t] [-c]``. Passwords are passed
neither as arguments nor in the environment, which other processes of the user can read: ``-scp -`` and ``-dcp -`` mean
that standard input holds one line for each, the source's first; the line is empty if there is no password. A tool that
does not know ``-`` needs a wrapper script that reads the two lines and passes them on in its own way.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from io import BufferedReader
from pathlib import Path
from typing import cast

from connections.registry import connector, dialect_for
from connections.sdk.capabilities import Cap
from connections.sdk.errors import Cancelled, ConfigurationInvalid, DriverMissing, ExternalFailed
from connections.sdk.row_counts import TransferResult
from runs.jrunner.cancel import Cancellation
from runs.jrunner.job import Job
from runs.jrunner.progress_reports import is_reachable
from runs.jrunner.reporter import Reporter

_LAST_LINES = 20
# bytes of the program's output that are logged, that are kept of its end, and that are read at once
_LOGGED, _END = 1_000_000, 16_384
_BLOCK, _LARGE_BLOCK = 8192, 1_048_576
# seconds between SIGTERM and SIGKILL
_GRACE = 5.0
# seconds between two checks of whether a program has ended
_POLL = 0.02
# exit codes of a shell for a command that cannot be executed or found
_NOT_EXECUTABLE = (126, 127)


def command_line(job: Job, executable: str, query_file: str) -> list[str]:
    """Return the arguments of the call, which contain no secret."""
    argv = [executable]
    argv += ["-scu", job.source.url, "-scn", job.source.username, "-scp", "-"]
    argv += ["-dcu", job.destination.url, "-dcn", job.destination.username, "-dcp", "-"]
    argv += ["-sq", query_file, "-dt", str(job.table)]
    argv += ["-t"] if job.trim else []
    argv += ["-c"] if job.clear else []
    return argv


def passwords(job: Job) -> str:
    """Return the two lines of standard input. Raises ConfigurationInvalid for a password with a line break."""
    both = (job.source.password, job.destination.password)
    if any("\n" in password or "\r" in password for password in both):
        raise ConfigurationInvalid(
            "A password has a line break, and an external jrunner gets each password as one line.",
            hint="Change the password, or leave jrunner_path out.",
        )
    return "".join(f"{password}\n" for password in both)


def copy(job: Job, reporter: Reporter, cancellation: Cancellation) -> TransferResult:
    """Run the executable. The number of rows is the difference between two counts of the destination table."""
    # the program's state is not visible: it counts as busy while both systems accept connections
    reporter.is_busy = lambda: is_reachable(job.source) and is_reachable(job.destination)
    before = 0 if job.clear else _count(job)
    _check_claim(job)
    with tempfile.TemporaryDirectory(prefix="jrunner-") as directory:
        query_file = Path(directory) / "query.sql"
        query_file.write_text(job.query, encoding="utf-8")
        argv = command_line(job, str(job.options["external"]), str(query_file))
        _run(argv, passwords(job), reporter, cancellation)
    written = _count(job) - before
    return TransferResult(read=written, written=written, size=0)


def _run(argv: list[str], stdin: str, reporter: Reporter, cancellation: Cancellation) -> None:
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise _unusable(argv[0], str(error)) from None
    cancellation.on_request(lambda: _stop(process))
    try:
        _send(process, stdin)
        assert process.stdout is not None
        last_lines = _log_output(cast(BufferedReader, process.stdout), reporter)
    except BaseException:
        _stop(process)
        raise
    code = process.wait()
    cancellation.check()
    if code:
        _end_group(process)
    if code in _NOT_EXECUTABLE:
        raise _unusable(argv[0], last_lines)
    if code == 128 + signal.SIGINT:
        raise Cancelled(f"{argv[0]} was interrupted.")
    if code:
        raise ExternalFailed(
            f"{argv[0]} ended with exit code {code}.",
            hint="Its last lines are below; what it wrote before is in the staging table only.",
            detail=last_lines,
        )


def _send(process: subprocess.Popen[bytes], text: str) -> None:
    """Write the standard input, which fits into the pipe's buffer, and close it."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(text.encode())
        process.stdin.close()


def _log_output(output: BufferedReader, reporter: Reporter) -> str:
    """Copy the program's output to the log, up to a limit, and return its last lines."""
    size, end, unlogged = 0, b"", b""
    while block := output.read1(_BLOCK if size < _LOGGED else _LARGE_BLOCK):
        before, size, end = size, size + len(block), (end + block)[-_END:]
        if before >= _LOGGED:
            continue
        # whole lines, so that a secret is not cut in two; a program may also write without ever ending a line
        unlogged += block
        cut = unlogged.rfind(b"\n") + 1 or len(unlogged) // _BLOCK * _BLOCK
        _log_lines(unlogged[:cut], reporter)
        unlogged = unlogged[cut:]
        if size >= _LOGGED:
            reporter.log(f"the program has written more than {_LOGGED // 1_000_000} MB; the rest is not logged")
    last_lines = "".join(end.decode("utf-8", "replace").splitlines(keepends=True)[-_LAST_LINES:])
    if size < _LOGGED:
        _log_lines(unlogged, reporter)
    else:
        reporter.log(f"the program wrote {size} bytes; its last lines were:\n{last_lines}")
    return last_lines


def _log_lines(data: bytes, reporter: Reporter) -> None:
    """Log many lines at once, because redacting secrets costs more per call than per byte."""
    if data:
        reporter.log(data.decode("utf-8", "replace").rstrip("\n"))


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:
        _end_group(process)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the program and what it has started: a wrapper script does not end its child, which would write on."""
    deadline = time.monotonic() + _GRACE
    # without permission for a program that runs as another user
    with contextlib.suppress(ProcessLookupError, PermissionError):
        # the program is the leader of its own session and process group
        os.killpg(process.pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            # an ended leader counts as a member until its exit code has been read
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(_POLL)
        os.killpg(process.pid, signal.SIGKILL)


def _unusable(executable: str, detail: str) -> DriverMissing:
    return DriverMissing(
        f"{executable} cannot be run.", hint="Check jrunner_path; null means the bundled jrunner.", detail=detail
    )


def _check_claim(job: Job) -> None:
    """Check the claim once: the writing transaction belongs to the program, so the claim cannot be held in it."""
    if job.claim:
        with contextlib.closing(connector(job.destination.kind, Cap.WRITE).connect(job.destination)) as session:
            job.claim.check(session.fetch(job.claim.sql))


def _count(job: Job) -> int:
    with contextlib.closing(connector(job.destination.kind, Cap.WRITE).connect(job.destination)) as session:
        rows = session.fetch(f"SELECT count(*) FROM {dialect_for(job.destination).qualified(job.table)}")
    return int(rows[0][0])

"""The process jrunner, a child of the run: starts it, sends it its job, waits for it or ends it.

It is started before its job is known, because Python and the drivers take longer to load than a small transfer takes to
run: it loads while the run describes its source and prepares staging.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from runs import logs
from runs.engine.plan import Plan
from runs.jrunner.job import Job

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
    "PIPEKIT_FAULT_LOG",
    "PIPEKIT_WITHOUT_COMPILED",
)


def command(source: str, destination: str) -> tuple[list[str], dict[str, str]]:
    """Return (argv, env) of the child for a transfer between these kinds; neither contains a secret."""
    env = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    env |= {"PYTHONUNBUFFERED": "1", "JRUNNER_PARENT": str(os.getpid())}
    return [sys.executable, "-m", "runs.jrunner", "--job", "-", "--load", source, destination], env


class JrunnerProcess:
    """The child process of one transfer. Its standard error is appended to the run's log."""

    def __init__(self, plan: Plan) -> None:
        argv, env = command(plan.source.kind, plan.destination.kind)
        self._has_job = False
        with logs.open_to_append(Path(plan.log_path)) if plan.log_path else nullcontext() as log:
            self._child = subprocess.Popen(
                argv,
                env=env,
                cwd=_ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self._child.stdin is not None and self._child.stdout is not None
        self._input, self._output = self._child.stdin, self._child.stdout

    @property
    def output(self) -> int:
        """The file descriptor of its standard output."""
        return self._output.fileno()

    def send(self, work: Job) -> None:
        """Send the job, which the child then executes."""
        self._has_job = True
        try:
            self._input.write(json.dumps(work.as_json()).encode())
            self._input.close()
        except BrokenPipeError:
            # it died at once, which is noticed when its result is missing
            return

    def end(self, *, terminate: bool) -> None:
        """Wait for the child to end, after SIGTERM if ``terminate``; kill it if it takes too long."""
        self._output.close()
        if terminate and self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(timeout=_GRACE)
        except subprocess.TimeoutExpired:
            self._kill()

    def end_without_job(self) -> None:
        """End a child that has received no job, and therefore has no session to close."""
        if not self._has_job:
            self._kill()
            self._input.close()
            self._output.close()

    def exit_status(self) -> str:
        """Return how the child has ended."""
        code = self._child.returncode
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def _kill(self) -> None:
        self._child.kill()
        self._child.wait()


@contextmanager
def started(plan: Plan) -> Iterator[JrunnerProcess]:
    """Start the process for the block, which sends it its job; without one it is ended."""
    process = JrunnerProcess(plan)
    try:
        yield process
    finally:
        process.end_without_job()

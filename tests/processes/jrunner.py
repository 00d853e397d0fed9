"""Runs jrunner in a process of its own, with a job or with flags."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runs.jrunner.job import Job
from tests.processes import warm

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class JrunnerResult:
    """The exit code, standard output and standard error of a finished process."""

    code: int
    output: str
    log: str

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.splitlines()]

    @property
    def last(self) -> dict[str, Any]:
        """The last event."""
        return self.events[-1]


def start(arguments: Sequence[str], *, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    return warm.jrunner(arguments, env={**os.environ, **(env or {})})


def start_job(job: Job, *, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start jrunner with the job on its standard input."""
    process = start(["--job", "-"], env=env)
    assert process.stdin
    process.stdin.write(json.dumps(job.as_json()))
    process.stdin.close()
    process.stdin = None
    return process


def finish(process: subprocess.Popen[str], *, stdin: str | None = None) -> JrunnerResult:
    output, log = process.communicate(stdin, timeout=120)
    return JrunnerResult(code=process.returncode, output=output, log=log)


def run_job(job: Job, *, env: Mapping[str, str] | None = None) -> JrunnerResult:
    return finish(start_job(job, env=env))


def run(*arguments: str, env: Mapping[str, str] | None = None, stdin: str = "") -> JrunnerResult:
    return finish(start(arguments, env=env), stdin=stdin)

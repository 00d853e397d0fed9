"""Measures processes: wall time, CPU time and peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
_INTERVAL = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Wall and CPU seconds of a process, its peak resident memory in MiB, and its output."""

    wall: float
    cpu: float
    peak: float
    output: str


def measure(argv: Sequence[str], *, stdin: str = "", shell: bool = False) -> Measured:
    """Run a program and wait for it. Raises RuntimeError with its output if it fails."""
    with tempfile.TemporaryFile("w+") as input_file, tempfile.TemporaryFile("w+") as output:
        input_file.write(stdin)
        input_file.seek(0)
        started = time.perf_counter()
        process = subprocess.Popen(
            argv[0] if shell else list(argv),
            stdin=input_file,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=_ROOT,
            shell=shell,
        )
        peak = 0.0
        # process id, status and resource usage, once the process has ended
        ended: tuple[int, int, Any] = (0, 0, None)
        while not ended[0]:
            peak = max(peak, _peak(process.pid))
            time.sleep(_INTERVAL)
            ended = os.wait4(process.pid, os.WNOHANG)
        wall = time.perf_counter() - started
        _, status, usage = ended
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode:
        raise RuntimeError(f"{argv[0]} ended with {process.returncode}:\n{text}")
    return Measured(wall=wall, cpu=usage.ru_utime + usage.ru_stime, peak=peak, output=text)


def _peak(pid: int) -> float:
    """Return the peak resident memory of a process so far, in MiB; that of wait4 includes its parent's."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def jrunner(job: dict[str, Any]) -> Measured:
    return measure([sys.executable, "-m", "runs.jrunner", "--job", "-"], stdin=json.dumps(job))

"""The launcher that everybody has: a run is a process on this machine, detached from whoever started it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from runs.launchers import detach
from runs.launchers.launcher import LaunchFailed
from runs.process import identity
from runs.process.identity import Owner

# far longer than a start takes, even on a machine that is short of everything
_SECONDS = 30


class LocalProcess:
    def launch(self, words: Sequence[str], *, log: Path) -> Owner:
        """Start ``manage.py`` with these words."""
        program = [sys.executable, str(Path(settings.BASE_DIR) / "manage.py"), *words]
        # isolated and without site-packages: it needs neither, and a start then takes milliseconds
        argv = [sys.executable, "-I", "-S", detach.__file__, str(log), *program]
        try:
            log.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            done = subprocess.run(
                argv,
                cwd=settings.BASE_DIR,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _failed(str(error)) from error
        if done.returncode or done.stderr:
            raise _failed(done.stderr.strip() or f"exit code {done.returncode}")
        return identity.of_pid(int(done.stdout))


def _failed(why: str) -> LaunchFailed:
    return LaunchFailed(
        "The run's process could not be started; nothing was done.",
        hint="Is the machine out of memory or processes, its disk full, or the log directory not writable?",
        detail=why,
    )

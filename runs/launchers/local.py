"""The default launcher: each run is a detached process on this machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from runs.launchers import detach
from runs.launchers.launcher import START_SECONDS, LaunchFailed
from runs.process import identity
from runs.process.identity import ProcessIdentity


class LocalProcess:
    """Launches detached processes on this machine."""

    def launch(self, args: Sequence[str], *, log: Path) -> ProcessIdentity:
        """Start ``manage.py`` with these arguments."""
        program = [sys.executable, str(Path(settings.BASE_DIR) / "manage.py"), *args]
        # isolated and without site-packages, which it does not need: starts within milliseconds
        argv = [sys.executable, "-I", "-S", detach.__file__, str(log), *program]
        try:
            log.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            done = subprocess.run(
                argv,
                cwd=settings.BASE_DIR,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=START_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _launch_failed(str(error)) from error
        if done.returncode or done.stderr:
            raise _launch_failed(done.stderr.strip() or f"exit code {done.returncode}")
        return identity.of_pid(int(done.stdout))


def _launch_failed(reason: str) -> LaunchFailed:
    return LaunchFailed(
        "The run's process could not be started; nothing was done.",
        hint="Check free memory, the process limit, free disk space, and that the log directory is writable.",
        detail=reason,
    )

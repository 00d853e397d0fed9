"""The interface that starts the process of a run; the Django setting RUN_LAUNCHER names its implementation.

Nothing outside an implementation assumes that the process is on this machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

from django.conf import settings
from django.utils.module_loading import import_string

from connections.sdk.errors import PipekitError
from runs.process.identity import ProcessIdentity

# seconds within which a launcher has started a process or failed
START_SECONDS = 10


class LaunchFailed(PipekitError):
    """The process of a run could not be started, so the run did not begin."""

    code = "launch_failed"


class Launcher(Protocol):
    """Starts processes of Pipekit, on this machine or elsewhere."""

    def launch(self, args: Sequence[str], *, log: Path) -> ProcessIdentity | None:
        """Start ``manage.py`` with these arguments in a new process, without waiting for it. Safe to call concurrently.

        Its output is appended to ``log``. Return the process if it is known, so that its death is noticed even before
        it has updated its row. Raise LaunchFailed if it will not start, or has not within START_SECONDS.
        """
        ...


def configured_launcher() -> Launcher:
    """Return the configured launcher."""
    path = getattr(settings, "RUN_LAUNCHER", "runs.launchers.local.LocalProcess")
    return cast(Launcher, import_string(path)())

"""How the process of a run comes to be: one small interface. Its implementation is the setting RUN_LAUNCHER.

Nothing outside the implementation assumes that the process is on this machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

from django.conf import settings
from django.utils.module_loading import import_string

from connections.sdk.errors import PipekitError
from runs.process.identity import Owner


class LaunchFailed(PipekitError):
    """The process of a run could not be started; it did not run."""

    code = "launch_failed"


class Launcher(Protocol):
    def launch(self, words: Sequence[str], *, log: Path) -> Owner | None:
        """Have ``manage.py`` with these words begin soon, somewhere, and return at once; may be called concurrently.

        What it prints is appended to ``log``. Returns the process where that is known already, so that its death is
        noticed even before it has said a word. Raises LaunchFailed when nothing will begin.
        """
        ...


def launcher() -> Launcher:
    chosen = getattr(settings, "RUN_LAUNCHER", "runs.launchers.local.LocalProcess")
    return cast(Launcher, import_string(chosen)())

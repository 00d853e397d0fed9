"""Launchers for tests, which start no process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runs.launchers.launcher import LaunchFailed
from runs.process.identity import ProcessIdentity, current


class NullLauncher:
    """Returns the identity of this process, so that runs stay queued and are not considered dead."""

    def launch(self, words: Sequence[str], *, log: Path) -> ProcessIdentity | None:
        return current()


class FailingLauncher:
    """Fails at every launch."""

    def launch(self, words: Sequence[str], *, log: Path) -> ProcessIdentity | None:
        raise LaunchFailed("The process cannot be started.", hint="Wait.")

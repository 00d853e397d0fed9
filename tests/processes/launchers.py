"""A launcher that starts no process: what the tick queued stays in the rows to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runs.launchers.launcher import LaunchFailed
from runs.process.identity import ProcessIdentity, current


class Nowhere:
    """Its runs are this process's, so that nobody settles them as dead."""

    def launch(self, words: Sequence[str], *, log: Path) -> ProcessIdentity | None:
        return current()


class Broken:
    def launch(self, words: Sequence[str], *, log: Path) -> ProcessIdentity | None:
        raise LaunchFailed("There is no process to be had.", hint="Wait.")

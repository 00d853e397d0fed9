"""The exit codes of Pipekit's commands, which scripts rely on."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit code means; those of processes ended by a signal are 128 and the signal's number."""

    DONE = 0
    # also: a check or a test found something wrong
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    # the module or group is running, or being verified; a tick hangs
    ALREADY_RUNNING = 4
    # some members failed; rows differ
    PARTLY = 5
    # by a safety limit
    REFUSED = 8
    # cancelled, or Ctrl+C: 128 + SIGINT
    CANCELLED = 130
    # 128 + SIGTERM
    TERMINATED = 143


# the worst comes first
_RANKING = (
    ExitCode.CANCELLED,
    ExitCode.FAILED,
    ExitCode.REFUSED,
    ExitCode.PARTLY,
    ExitCode.ALREADY_RUNNING,
    ExitCode.DONE,
)


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the exit code of a command that did several things: the worst of theirs, DONE if there are none."""
    return min(codes, key=_RANKING.index, default=ExitCode.DONE)

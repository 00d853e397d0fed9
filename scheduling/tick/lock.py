"""Keeps two ticks of one install from working at once. Only a courtesy: slots fire once without it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from connections.sdk.errors import PipekitError
from connections.sdk.files.lock import Holder, LockHeld, install_lock

# seconds after which a tick, which takes a few, is taken to hang
LONG = 600.0


class TickHangs(PipekitError):
    """Another tick has held the lock for so long that nothing is started any more."""

    code = "tick_hangs"


@contextmanager
def only_tick() -> Iterator[bool]:
    """Yield whether this process is the one that ticks; the kernel lets go of the lock when it dies.

    Raises TickHangs when another one has been at it for more than ten minutes.
    """
    lock = install_lock(Path(settings.PIPEKIT.data_dir), "tick")
    try:
        lock.__enter__()
    except LockHeld as held:
        if held.holder and held.holder.seconds > LONG:
            raise _hangs(held.holder) from None
        yield False
        return
    try:
        yield True
    finally:
        lock.__exit__(None, None, None)


def _hangs(holder: Holder) -> TickHangs:
    return TickHangs(
        f"Another tick (process {holder.pid}) has been at work for {holder.seconds / 60:.0f} minutes; until it ends"
        " nothing that is due is started.",
        hint=f"See what it waits for; when it hangs, end it: kill {holder.pid}. The next tick does what is due.",
    )

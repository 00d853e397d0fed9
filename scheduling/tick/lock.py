"""A lock against concurrent ticks of one installation, to save work: the slots' unique index prevents double starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from django.conf import settings

from connections.sdk.errors import PipekitError
from connections.sdk.files.lock import Holder, LockHeld, install_lock

# seconds after which a tick is considered hanging; normally it takes a few
LONG = 600.0


class TickHangs(PipekitError):
    """Another tick has held the lock for so long that nothing is started."""

    code = "tick_hangs"


@contextmanager
def only_tick() -> Iterator[bool]:
    """Yield whether this process got the lock. The kernel releases it when the process dies.

    Raise TickHangs if another tick has held it for more than ten minutes.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(install_lock(Path(settings.PIPEKIT.data_dir), "tick"))
        except LockHeld as held:
            if held.holder and held.holder.seconds > LONG:
                raise _hangs(held.holder) from None
            yield False
            return
        yield True


def _hangs(holder: Holder) -> TickHangs:
    return TickHangs(
        f"Another tick (process {holder.pid}) has been running for {holder.seconds / 60:.0f} minutes; until it ends,"
        " nothing that is due is started.",
        hint=f"Check what it waits for; if it hangs, end it: kill {holder.pid}. The next tick starts what is due.",
    )

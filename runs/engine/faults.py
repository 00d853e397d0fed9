"""Named points at which a test may kill, stop or fail a run. Nothing happens unless PIPEKIT_FAULTS says so.

PIPEKIT_FAULTS is ``point=action``, ``point#n=action`` (the n-th time that it is reached) or ``#n=action`` (the n-th
point reached); actions: kill9, stop, raise, sleep:SECONDS.
Every point reached is appended to the file PIPEKIT_FAULT_LOG, so that a test can prove that its fault fired.
"""

from __future__ import annotations

import os
import signal
import time

from connections.sdk.errors import InternalError

_reached: list[str] = []


def point(name: str) -> None:
    """Mark a place in a run at which it may die."""
    if "PIPEKIT_FAULTS" not in os.environ:
        return
    _reached.append(name)
    where, _, action = os.environ["PIPEKIT_FAULTS"].partition("=")
    fires = where in (name, f"{name}#{_reached.count(name)}", f"#{len(_reached)}")
    if log := os.environ.get("PIPEKIT_FAULT_LOG"):
        with open(log, "a") as file:
            file.write(f"{name} {action if fires else '-'}\n")
    if fires:
        _fire(action)


def _fire(action: str) -> None:
    word, _, argument = action.partition(":")
    if word == "kill9":
        os.kill(os.getpid(), signal.SIGKILL)
    elif word == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif word == "sleep":
        time.sleep(float(argument))
    else:
        raise InternalError("A fault was injected here by PIPEKIT_FAULTS.", hint="Unset that variable.")

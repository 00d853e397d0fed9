"""Fault injection: named points at which a test can kill, stop or fail a run. Inactive unless PIPEKIT_FAULTS is set.

PIPEKIT_FAULTS is ``point=action``, ``point#n=action`` (the n-th time that the point is reached) or ``#n=action`` (the
n-th point reached). Actions: kill9, stop, raise, sleep:SECONDS.
Every point reached is appended to the file PIPEKIT_FAULT_LOG, so that a test can prove that its fault fired.
"""

from __future__ import annotations

import os
import signal
import time

from connections.sdk.errors import InternalError

_reached: list[str] = []


def point(name: str) -> None:
    """Mark a point in a run at which a fault can be injected."""
    if "PIPEKIT_FAULTS" not in os.environ:
        return
    _reached.append(name)
    condition, _, action = os.environ["PIPEKIT_FAULTS"].partition("=")
    fires = condition in (name, f"{name}#{_reached.count(name)}", f"#{len(_reached)}")
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

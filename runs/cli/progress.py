"""Prints the progress of `runmodule`: steps, rows, waits, retries and warnings, as plain lines."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from connections.sdk.formatting import counted, indented, one_line, readable_size
from connections.secrets.redaction import redactor
from runs.engine import events


class Stream(Protocol):
    """An output stream of a command, as Django's OutputWrapper is one."""

    def write(self, text: str) -> object: ...
    def isatty(self) -> bool: ...
    def flush(self) -> None: ...


def event_printer(stream: Stream, *, quiet: bool) -> Callable[[events.Event], None]:
    """Return a callback that prints events, redacted, progress at most once a second; with ``quiet`` only warnings."""
    last = 0.0

    def write(text: str) -> None:
        stream.write(redactor().text(text))

    def print_event(event: events.Event) -> None:
        nonlocal last
        if isinstance(event, events.Unconfirmed):
            for each in event.transaction:
                print_event(each)
            return
        if quiet:
            if isinstance(event, events.Warned):
                write(f"warning: {indented(event.message)}")
            return
        match event:
            # each hook has a line of its own
            case events.StepStarted(step) if step != "hooks":
                write(f"{step} ...")
            case events.HookStarted(number, run_on, where):
                write(f"hook {number} ({run_on}) on {where} ...")
            case events.MethodChosen(method, why):
                write(f"  publish method {method}{f': {one_line(why)}' if why else ''}")
            case events.RouteChosen(route, why):
                write(f"  route {route}: {one_line(why)}")
            case events.TransferProgress(rows, size) if time.monotonic() - last >= 1:
                last = time.monotonic()
                moved = "" if rows is None else f"{counted(rows)}, "
                write(f"  {moved}{readable_size(size)}")
            case events.AttemptFailed():
                write(f"  {event} failed: {indented(event.message)}")
                write(f"  retrying in {event.wait:.1f} s")
            case events.Waiting(message):
                write(f"  {one_line(message)}")
            case events.Warned(message):
                write(f"  warning: {indented(message)}")

    return print_event

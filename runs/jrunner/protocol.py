"""The messages of jrunner: one JSON object per line on its standard output.

``event`` names the message; the other keys are the fields of its class.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any, ClassVar

from connections.sdk.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteMessage:
    """The route that was chosen, and why."""

    event: ClassVar[str] = "route"
    route: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressMessage:
    """The totals so far.

    ``at_work`` is only in periodic reports: nothing has moved since the last one, but the source, or else jrunner
    itself, is busy.
    """

    event: ClassVar[str] = "progress"
    rows: int
    bytes: int
    at_work: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingMessage:
    """A statement waits for a lock; ``message`` names its holders."""

    event: ClassVar[str] = "waiting"
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningMessage:
    """A warning for the user."""

    event: ClassVar[str] = "warning"
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneMessage:
    """The rows are committed: as the source delivered them, and as the destination counted them."""

    event: ClassVar[str] = "done"
    route: str
    rows_read: int
    rows_written: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorMessage:
    """The transfer failed. ``error`` is the error as of `PipekitError.as_dict`."""

    event: ClassVar[str] = "error"
    error: dict[str, Any]


Message = RouteMessage | ProgressMessage | WaitingMessage | WarningMessage | DoneMessage | ErrorMessage
_CLASSES: dict[str, type[Message]] = {
    kind.event: kind
    for kind in (RouteMessage, ProgressMessage, WaitingMessage, WarningMessage, DoneMessage, ErrorMessage)
}


def to_line(message: Message) -> str:
    """Return the message as one line of JSON, without ``at_work`` where there is none."""
    values = {field.name: getattr(message, field.name) for field in fields(message)}
    if values.get("at_work", True) is None:
        del values["at_work"]
    return json.dumps({"event": message.event, **values}, ensure_ascii=False)


def parse(line: bytes) -> Message | None:
    """Return the message of a line, None for a line that is no message: drivers and libraries may print, too."""
    try:
        values = json.loads(line)
    except ValueError:
        return None
    if not isinstance(values, dict):
        return None
    kind = _CLASSES.get(str(values.pop("event", "")))
    try:
        return kind(**values) if kind else None
    except TypeError:
        return None

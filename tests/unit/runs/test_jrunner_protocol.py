"""The messages of jrunner are lines of JSON with stable keys, and other lines are no messages."""

from __future__ import annotations

import json

import pytest

from runs.jrunner import protocol
from runs.jrunner.protocol import Message

MESSAGES: list[tuple[Message, dict[str, object]]] = [
    (protocol.RouteMessage(route="raw", why="é"), {"event": "route", "route": "raw", "why": "é"}),
    (protocol.ProgressMessage(rows=1, bytes=2), {"event": "progress", "rows": 1, "bytes": 2}),
    (
        protocol.ProgressMessage(rows=1, bytes=2, at_work=False),
        {"event": "progress", "rows": 1, "bytes": 2, "at_work": False},
    ),
    (protocol.WaitingMessage(message="x\ny"), {"event": "waiting", "message": "x\ny"}),
    (protocol.WarningMessage(message="x"), {"event": "warning", "message": "x"}),
    (
        protocol.DoneMessage(route="raw", rows_read=1, rows_written=2, bytes=3, seconds=0.5),
        {"event": "done", "route": "raw", "rows_read": 1, "rows_written": 2, "bytes": 3, "seconds": 0.5},
    ),
    (protocol.ErrorMessage(error={"code": "data"}), {"event": "error", "error": {"code": "data"}}),
]


@pytest.mark.parametrize(("message", "keys"), MESSAGES, ids=lambda value: str(value)[:40])
def test_a_message_is_one_line_with_stable_keys_and_is_read_back(message: Message, keys: dict[str, object]) -> None:
    line = protocol.to_line(message)
    assert "\n" not in line
    assert json.loads(line) == keys
    assert protocol.parse(line.encode()) == message


@pytest.mark.parametrize(
    "line",
    [
        *("", "text", "{broken", "7", "null", '["event"]', "{}", '{"rows": 1}'),
        *('{"event": "other"}', '{"event": ["done"]}', '{"event": "progress", "rows": 1}'),
        *('{"event": "warning", "message": "x", "more": 1}', "caf\xe9"),
    ],
)
def test_a_line_that_is_no_message_is_not_taken_for_one(line: str) -> None:
    assert protocol.parse(line.encode("latin-1")) is None

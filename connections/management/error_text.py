"""The text form of errors that all commands print: message, hint, the system's own message, error code."""

from __future__ import annotations

from collections.abc import Mapping

from connections.sdk.visible_text import indented

# of continuation lines
_INDENT = " " * 7


def error_text(error: Mapping[str, str]) -> str:
    """Return the text of an error, given as ``PipekitError.as_dict()``."""
    lines = [f"error: {indented(error['message'], _INDENT)}"]
    if error.get("hint"):
        lines.append(f"fix:   {indented(error['hint'], _INDENT)}")
    # a number is meant for programs: the active run's, of already_running
    if error.get("detail") and not error["detail"].isdigit():
        lines.append("why:   " + indented(error["detail"].strip(), _INDENT))
    return "\n".join([*lines, f"code:  {error['code']}"])

"""An error as every command prints it: what happened, what to do, the system's own words, the code."""

from __future__ import annotations

from collections.abc import Mapping

from connections.sdk.visible_text import indented

# of what follows the first line of a message
_INDENT = " " * 7


def error_text(found: Mapping[str, str]) -> str:
    """Return the lines of an error, as `PipekitError.as_dict` gives it."""
    lines = [f"error: {indented(found['message'], _INDENT)}"]
    if found.get("hint"):
        lines.append(f"fix:   {indented(found['hint'], _INDENT)}")
    # already_running: the number in it is for programs
    if found.get("detail") and not found["detail"].isdigit():
        lines.append("why:   " + indented(found["detail"].strip(), _INDENT))
    return "\n".join([*lines, f"code:  {found['code']}"])

"""Preparation of the user's query for use as a subquery: only a final semicolon is removed."""

from __future__ import annotations

import re

ONE_QUERY = "Write one query that only reads (a SELECT), without a second statement."

_TOKEN = re.compile(
    r"""
    '(?:[^']|'')*'            # string
    | "(?:[^"]|"")*"          # quoted name
    | `[^`]*`
    | \$(?P<tag>[A-Za-z_\d]*)\$.*?\$(?P=tag)\$
    | --[^\n]*(?:\n|\Z)
    | /\*.*?\*/
    | .
    """,
    re.VERBOSE | re.DOTALL,
)


def without_final_semicolon(query: str) -> str:
    """Return ``query`` without its final semicolon. Comments after it, and other semicolons, are kept."""
    last = None
    for token in _TOKEN.finditer(query):
        text = token.group()
        if text == ";":
            last = last or token
        elif not text.isspace() and not text.startswith(("--", "/*")):
            last = None
    return query[: last.start()] + query[last.end() :] if last else query

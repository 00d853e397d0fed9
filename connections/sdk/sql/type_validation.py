"""Validation of column types before they are inserted into SQL: a type name with arguments and nothing else.

Types come from catalogues, which may contain any text: SQLite accepts a quoted string as the type of a column,
including DEFAULT and CHECK clauses in it. The ``parse`` of a connector determines the meaning of a type; this module
only whether its text is safe.
"""

from __future__ import annotations

import re

from connections.sdk.errors import ConfigurationInvalid

_MAX_LENGTH = 10_000
_TOKEN = re.compile(
    r"""
      (?P<space>[ ]+)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<quoted>"(?:[^"\0]|"")+")
    | (?P<text>'(?:[^'\0]|'')*')
    | (?P<number>-?\d+)
    | (?P<mark>[()\[\],.])
    """,
    re.VERBOSE,
)
# first words of the clauses that may follow the type in a column definition, in any of the systems
_CLAUSES = re.compile(
    r"always|as|auto_?increment|check|collate|comment|compression|constraint|default|deferrable|distkey|encode|first"
    r"|foreign|generated|hidden|identity|initially|invisible|key|not|null|on|options|primary|references|select|sortkey"
    r"|storage|stored|table|unique|using|virtual|visible",
    re.IGNORECASE,
)


def is_type(native: str) -> bool:
    """Return whether the text is a type name with its arguments, without further clauses of a column definition."""
    if not native or len(native) > _MAX_LENGTH:
        return False
    open_marks: list[str] = []
    position, before = 0, ""
    while position < len(native):
        token = _TOKEN.match(native, position)
        if token is None:
            return False
        position, kind, text = token.end(), str(token.lastgroup), token.group()
        if kind == "space":
            continue
        if not before and kind not in ("word", "quoted"):
            return False
        if kind == "word" and before not in ("", ".") and _CLAUSES.fullmatch(text):
            return False
        # literals and commas occur only as arguments, in brackets
        if not open_marks and (kind in ("text", "number") or text == ","):
            return False
        if text in ("(", "["):
            open_marks.append(")" if text == "(" else "]")
        elif text in (")", "]") and (not open_marks or open_marks.pop() != text):
            return False
        before = text
    return bool(before) and not open_marks


def checked(native: str) -> str:
    """Return ``native``. Raises ConfigurationInvalid unless it is a type name with arguments."""
    if not is_type(native):
        raise ConfigurationInvalid(
            f"“{native[:100]}” cannot be used as the type of a column.",
            hint="Use a type such as numeric(10,2) or varchar(20), without DEFAULT, CHECK or other clauses. To change"
            " the type of a source column, use CAST in the source query.",
        )
    return native

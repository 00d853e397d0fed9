"""What the spelling of a column type may look like before it stands in SQL: a type and nothing after it.

Types come from catalogues, and a catalogue says what somebody wrote: SQLite takes any quoted text as a column's type, a
DEFAULT and a CHECK among it. Each connector's ``parse`` says what a spelling means; this says whether it can be used.
"""

from __future__ import annotations

import re

from connections.sdk.errors import ConfigurationInvalid

_LONGEST = 10_000
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
# what may follow a type in a column's definition, in any of the systems, begins with one of these
_CLAUSES = re.compile(
    r"always|as|auto_?increment|check|collate|comment|compression|constraint|default|deferrable|distkey|encode|first"
    r"|foreign|generated|hidden|identity|initially|invisible|key|not|null|on|options|primary|references|select|sortkey"
    r"|storage|stored|table|unique|using|virtual|visible",
    re.IGNORECASE,
)


def is_type(native: str) -> bool:
    """Whether the text is a type's name with its arguments, and nothing that a column's definition has after it."""
    if not native or len(native) > _LONGEST:
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
        # arguments stand in brackets
        if not open_marks and (kind in ("text", "number") or text == ","):
            return False
        if text in ("(", "["):
            open_marks.append(")" if text == "(" else "]")
        elif text in (")", "]") and (not open_marks or open_marks.pop() != text):
            return False
        before = text
    return bool(before) and not open_marks


def checked(native: str) -> str:
    """Return the spelling. Raises ConfigurationInvalid when it is more, or less, than a type."""
    if not is_type(native):
        raise ConfigurationInvalid(
            f"“{native[:100]}” cannot be used as the type of a column.",
            hint="Write a type such as numeric(10,2) or varchar(20), without DEFAULT, CHECK and other clauses; in the"
            " source query a CAST gives a column another type.",
        )
    return native

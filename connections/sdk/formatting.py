"""Formats text for terminals, logs and pages: escaped control characters, counts, sizes and timestamps.

Names, notices and error messages may come from a hostile server: an escape sequence could overwrite the screen, and a
line break could forge a line of Pipekit's own output.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

# U+2400 to U+241F are symbols for the C0 control characters; there are none for the C1 characters
_SYMBOLS = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\t\n"}
_SYMBOLS |= {0x7F: "\u2421"} | dict.fromkeys(range(0x80, 0xA0), "\ufffd")
# bidirectional formatting characters
_SYMBOLS |= dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd")
# Unicode line and paragraph separators
_SYMBOLS |= {0x2028: "\u2424", 0x2029: "\u2424"}


def visible(text: str) -> str:
    """Return the text with every control character but tab and line feed replaced by a symbol."""
    return text.translate(_SYMBOLS)


def indented(text: str, by: str = "    ") -> str:
    """Return `visible` text with its second and further lines indented, so that none looks like a line of Pipekit's."""
    return visible(text).replace("\n", f"\n{by}")


def one_line(text: str) -> str:
    """Return `visible` text with line feeds replaced by a symbol too."""
    return visible(text).replace("\n", "\u2424")


def counted(number: int, noun: str = "row") -> str:
    """Return the number with thousands separators, and the noun in singular or plural."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], *, most: int) -> str:
    """Return at most so many of the names in one phrase, and how many there are besides."""
    shown = list(names[:most])
    if rest := len(names) - len(shown):
        shown.append(f"{rest} more")
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))


def readable_size(count: int) -> str:
    """Return a number of bytes in MB (10**6), or in kB (10**3) below 0.1 MB."""
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count / 1e3:,.1f} kB"


def iso_milliseconds(timestamp: dt.datetime) -> str:
    """Return the timestamp in ISO 8601, with milliseconds."""
    return timestamp.isoformat(timespec="milliseconds")

"""Text of others on its way to a terminal or a log: what a terminal would obey is shown as a sign instead.

Names, notices and error texts come from servers, which may be hostile: an escape sequence could rewrite what is on the
screen, and a line break could make a line that looks like one of ours.
"""

from __future__ import annotations

# U+2400 and on are pictures of the first 32 characters; the second 32 have none
_SIGNS = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\t\n"}
_SIGNS |= {0x7F: "\u2421"} | dict.fromkeys(range(0x80, 0xA0), "\ufffd")
# they turn the direction of text around, or hide in it
_SIGNS |= dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd")
# line breaks that only some programs know
_SIGNS |= {0x2028: "\u2424", 0x2029: "\u2424"}


def visible(text: str) -> str:
    """Return the text with tabs and line feeds as they are and every other control character as a sign."""
    return text.translate(_SIGNS)


def indented(text: str, by: str = "    ") -> str:
    """Return the text visible, its second and further lines indented: none of them begins as a line of ours does."""
    return visible(text).replace("\n", f"\n{by}")


def one_line(text: str) -> str:
    """Return the text visible and in one line."""
    return visible(text).replace("\n", "\u2424")

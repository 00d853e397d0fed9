"""Keeps secrets out of what is shown, logged or stored: by value, in every spelling, and by the shape of a password.

`redactor()` is the one of this process; every secret that is resolved is added to it. No Django.
"""

from __future__ import annotations

import base64
import html
import json
import logging
import re
import threading
from collections.abc import Iterable, Iterator
from functools import cache
from urllib.parse import quote, quote_plus

from connections.sdk.visible_text import indented, visible

HIDDEN = "***"
# shorter values would take words and numbers out of every text
MIN_LENGTH = 4

_KEY = r"[\w.-]{0,40}(?:passw(?:or)?d|passwort|pwd|passphrase)"
# a quoted value, one in braces as ODBC writes them, or one that ends at a separator; references stay readable
_QUOTED = r"""(?:"(?:[^"\\\n]|\\.|"")*(?:"|$)|'(?:[^'\\\n]|\\.|'')*(?:'|$))"""
# what begins a value without quotes; also the rest of one that goes on after its quotes
_BARE = r"""[^\s;&,'"(){}\[\]][^\s;&,]*"""
# one that is hidden already ends where its replacement ends
_DONE = r"""\*\*\*(?=[\s;&,'"(){}\[\]]|$)"""
_VALUE = rf"""(?!\$[A-Za-z_])(?:{_DONE}|(?:{_QUOTED}|\{{(?:[^}}\n]|\}}\}})*(?:\}}|$))(?:{_BARE})?|{_BARE})"""
_SHAPES = tuple(
    (re.compile(pattern, re.IGNORECASE | re.MULTILINE), replacement)
    for pattern, replacement in (
        # scheme://user:password@, where a port and a path are no password
        (r"(://[^\s:/?#@]{0,200}:)(?!\d{1,5}(?:[/?#;\s]|$))\S{1,2000}@", rf"\1{HIDDEN}@"),
        (r"(jdbc:oracle:\w{1,10}:[^\s/@]{1,200}/)\S{1,2000}@", rf"\1{HIDDEN}@"),
        (rf"""({_KEY}\\?["']?\s{{0,3}}=\s{{0,3}}){_VALUE}""", rf"\1{HIDDEN}"),
        # MySQL says "using password: YES"
        (rf"""({_KEY}\\?["']?\s{{0,3}}:\s{{0,3}})(?!(?:YES|NO|null|None)\b){_VALUE}""", rf"\1{HIDDEN}"),
        (
            rf"(\bIDENTIFIED\s{{1,3}}(?:WITH\s{{1,3}}\S{{1,60}}\s{{1,3}})?(?:BY|AS)\s{{1,3}}(?:PASSWORD\s{{1,3}})?){_VALUE}",
            rf"\1{HIDDEN}",
        ),
        (rf"(\bPASSWORD\s{{1,3}}){_QUOTED}", rf"\1{HIDDEN}"),
    )
)


class Redactor:
    """Hides the given values, and whatever looks like a password. Safe to use from many threads."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._forms: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        for value in values:
            self.add(value)

    def add(self, value: str) -> None:
        """Hide this value too from now on; one shorter than four characters cannot be hidden by its value."""
        if len(value) < MIN_LENGTH:
            return
        with self._lock:
            forms = self._forms | {form for form in _forms(value) if len(form) >= MIN_LENGTH}
            if forms != self._forms:
                # the longest first, so that no part of a longer one is left over
                ordered = sorted(forms, key=lambda form: (-len(form), form))
                self._pattern = re.compile("|".join(map(_pattern, ordered)))
                self._forms = forms

    def text(self, text: str) -> str:
        """Return the text with `***` in place of every secret."""
        if self._pattern is not None:
            text = self._pattern.sub(HIDDEN, text)
        for shape, replacement in _SHAPES:
            text = shape.sub(replacement, text)
        return text


def _forms(value: str) -> Iterator[str]:
    """Yield the spellings in which URLs, JSON, SQL, HTML, Python and HTTP would show a value."""
    for plain in {value, value.strip()}:
        yield plain
        yield from (quote(plain, safe="", errors="replace"), quote(plain, errors="replace"), _plus(plain))
        for dumped in (json.dumps(plain), json.dumps(plain, ensure_ascii=False)):
            yield dumped[1:-1]
            # JSON inside of JSON
            yield json.dumps(dumped[1:-1])[1:-1]
        for escaped in (plain, plain.replace("\\", "\\\\")):
            yield escaped.replace("'", "''")
            yield escaped.replace("'", "\\'")
            yield escaped.replace('"', '""')
            yield escaped.replace('"', '\\"')
        yield html.escape(plain)
        yield repr(plain)[1:-1]
        yield from _base64(plain)


def _pattern(form: str) -> str:
    # %3d is as good as %3D
    return re.sub("%[0-9A-F]{2}", lambda found: f"(?i:{found.group()})", re.escape(form))


def _plus(value: str) -> str:
    return quote_plus(value, errors="replace")


def _base64(value: str) -> Iterator[str]:
    """Yield what base64 makes of a value wherever it stands in the encoded bytes, as in `user:password`."""
    data = value.encode("utf-8", "replace")
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data).decode()
        # characters at both ends also hold bits of the neighbours
        first = (before * 8 + 5) // 6
        found = encoded[first : (before + len(data)) * 8 // 6]
        if len(found) >= MIN_LENGTH:
            yield found
            yield found.replace("+", "-").replace("/", "_")
    yield base64.b64encode(data).decode()
    yield base64.urlsafe_b64encode(data).decode()


@cache
def redactor() -> Redactor:
    """Return the redactor of this process."""
    return Redactor()


class RedactingFilter(logging.Filter):
    """Redacts log records, and shows control characters as signs: message, arguments, traceback.

    For handlers, which see every record that reaches them.
    """

    _formatter = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        hide = redactor().text
        record.msg, record.args = indented(hide(_message(record))), None
        if record.exc_info:
            # as text, so that nothing reads the frames' variables later
            record.exc_text = self._formatter.formatException(record.exc_info)
            record.exc_info = None
        if record.exc_text:
            record.exc_text = visible(hide(record.exc_text))
        if record.stack_info:
            record.stack_info = visible(hide(record.stack_info))
        return True


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        # arguments that do not fit their format
        return f"{record.msg} {record.args}"

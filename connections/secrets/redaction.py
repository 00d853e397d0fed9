"""Replaces secrets in texts that are shown, logged or stored: known values in any encoding, and password patterns.

`redactor()` returns the one of this process, to which each resolved secret is added. No Django.
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

from connections.sdk.formatting import indented, visible

HIDDEN = "***"
# shorter values would match parts of ordinary words and numbers
MIN_LENGTH = 4

_KEY = r"[\w.-]{0,40}(?:passw(?:or)?d|passwort|pwd|passphrase)"
# A value in quotes, in braces as in ODBC, or up to a separator. A $NAME reference is not a value and stays readable.
_QUOTED = r"""(?:"(?:[^"\\\n]|\\.|"")*(?:"|$)|'(?:[^'\\\n]|\\.|'')*(?:'|$))"""
# an unquoted value; also what follows the closing quote of a quoted one
_BARE = r"""[^\s;&,'"(){}\[\]][^\s;&,]*"""
# a value that has been replaced already
_REPLACED = r"""\*\*\*(?=[\s;&,'"(){}\[\]]|$)"""
_VALUE = rf"""(?!\$[A-Za-z_])(?:{_REPLACED}|(?:{_QUOTED}|\{{(?:[^}}\n]|\}}\}})*(?:\}}|$))(?:{_BARE})?|{_BARE})"""
PATTERNS = (
    # scheme://user:password@, but not scheme://host:port/path@
    (r"(://[^\s:/?#@]{0,200}:)(?!\d{1,5}(?:[/?#;\s]|$))\S{1,2000}@", rf"\1{HIDDEN}@"),
    (r"(jdbc:oracle:\w{1,10}:[^\s/@]{1,200}/)\S{1,2000}@", rf"\1{HIDDEN}@"),
    (rf"""({_KEY}\\?["']?\s{{0,3}}=\s{{0,3}}){_VALUE}""", rf"\1{HIDDEN}"),
    # not "using password: YES" as in MySQL's errors
    (rf"""({_KEY}\\?["']?\s{{0,3}}:\s{{0,3}})(?!(?:YES|NO|null|None)\b){_VALUE}""", rf"\1{HIDDEN}"),
    (
        rf"(\bIDENTIFIED\s{{1,3}}(?:WITH\s{{1,3}}\S{{1,60}}\s{{1,3}})?(?:BY|AS)\s{{1,3}}(?:PASSWORD\s{{1,3}})?){_VALUE}",
        rf"\1{HIDDEN}",
    ),
    (rf"(\bPASSWORD\s{{1,3}}){_QUOTED}", rf"\1{HIDDEN}"),
)
# what every match of a pattern contains when it is casefolded: few texts do, and looking for these is fast
CONTAINED = ("://", "jdbc:oracle:", "passw", "pwd", "passphrase", "dent")


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    # not compiled at import: that takes a while, and most processes have nothing to redact
    return tuple((re.compile(pattern, re.IGNORECASE | re.MULTILINE), replacement) for pattern, replacement in PATTERNS)


class Redactor:
    """Replaces the given values, and what looks like a password. Thread-safe."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._forms: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        for value in values:
            self.add(value)

    def add(self, value: str) -> None:
        """Add a value to be replaced from now on; values shorter than ``MIN_LENGTH`` are ignored."""
        if len(value) < MIN_LENGTH:
            return
        with self._lock:
            forms = self._forms | {form for form in _forms(value) if len(form) >= MIN_LENGTH}
            if forms != self._forms:
                # the longest first: a shorter form may be part of a longer one
                ordered = sorted(forms, key=lambda form: (-len(form), form))
                self._pattern = re.compile("|".join(map(_pattern, ordered)))
                self._forms = forms

    def text(self, text: str) -> str:
        """Return the text with `***` in place of every secret."""
        if self._pattern is not None:
            text = self._pattern.sub(HIDDEN, text)
        folded = text.casefold()
        if any(part in folded for part in CONTAINED):
            for pattern, replacement in _patterns():
                text = pattern.sub(replacement, text)
        return text


def _forms(value: str) -> Iterator[str]:
    """Yield the value as encoded or escaped in URLs, JSON, SQL, HTML, Python and HTTP."""
    for plain in {value, value.strip()}:
        yield plain
        yield from (quote(plain, safe="", errors="replace"), quote(plain, errors="replace"), _plus(plain))
        for dumped in (json.dumps(plain), json.dumps(plain, ensure_ascii=False)):
            yield dumped[1:-1]
            # JSON in a JSON string
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
    # the hexadecimal digits of URL encoding may be of either case
    return re.sub("%[0-9A-F]{2}", lambda match: f"(?i:{match.group()})", re.escape(form))


def _plus(value: str) -> str:
    return quote_plus(value, errors="replace")


def _base64(value: str) -> Iterator[str]:
    """Yield the base64 forms of a value at any offset of the encoded bytes, as in `user:password`."""
    data = value.encode("utf-8", "replace")
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + data).decode()
        # without the characters at both ends, which also encode bits of neighbouring bytes
        first = (offset * 8 + 5) // 6
        inner = encoded[first : (offset + len(data)) * 8 // 6]
        if len(inner) >= MIN_LENGTH:
            yield inner
            yield inner.replace("+", "-").replace("/", "_")
    yield base64.b64encode(data).decode()
    yield base64.urlsafe_b64encode(data).decode()


@cache
def redactor() -> Redactor:
    """Return the redactor of this process."""
    return Redactor()


class RedactingFilter(logging.Filter):
    """Redacts messages and tracebacks of log records, and makes control characters visible.

    Attach it to handlers: filters of loggers do not see records of their child loggers.
    """

    _formatter = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        hide = redactor().text
        record.msg, record.args = indented(hide(_message(record))), None
        if record.exc_info:
            # as text, so that no later handler reads the frames' variables
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
        # arguments that do not match the format
        return f"{record.msg} {record.args}"

"""Readers of configuration values: each returns the value of a raw text or YAML value, or raises Unexpected."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import environ
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from connections.sdk.parameters import SECRET_NAME
from connections.sdk.records import dataclass

Read = Callable[[Any], Any]
_HOST = re.compile(r"(\*|\.?[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])", re.IGNORECASE)
_DATABASE_ENGINES = {"django.db.backends.postgresql": "PostgreSQL", "django.db.backends.sqlite3": "SQLite"}
DATABASE_EXPECTED = "the path of a SQLite file, or postgresql://user:password@host:5432/name"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigValue:
    """A raw value, and where it is set: a variable's name, or the file and line."""

    value: Any
    where: str


class Unexpected(ValueError):
    """The value is invalid; the message says what was expected."""


def path(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value or "\n" in value:
        raise Unexpected("a path")
    return value.strip()


def path_or_nothing(value: Any) -> str:
    return "" if value is None or value == "" else path(value)


def paths(value: Any) -> tuple[str, ...]:
    return tuple(path(item) for item in _items(value, "directories, as a list or separated by commas"))


def port(value: Any) -> int:
    digits = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,5}", digits) or not 0 < int(digits) < 65536:
        raise Unexpected("a port, a whole number from 1 to 65535")
    return int(digits)


def boolean(value: Any) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    try:
        return words[str(value).strip().lower()]
    except KeyError:
        raise Unexpected("true or false") from None


def host(value: Any) -> str:
    if not isinstance(value, str) or not _HOST.fullmatch(value.strip()):
        raise Unexpected("a host name or address, without scheme and port")
    return value.strip()


def hosts(value: Any) -> tuple[str, ...]:
    return tuple(host(item) for item in _items(value, "host names, as a list or separated by commas"))


def address(value: Any) -> str:
    try:
        validate_email(value)
    except (ValidationError, TypeError):
        raise Unexpected("an e-mail address") from None
    return str(value)


def addresses(value: Any) -> tuple[str, ...]:
    return tuple(address(item) for item in _items(value, "e-mail addresses, as a list or separated by commas"))


def secret_names(value: Any) -> tuple[str, ...]:
    """Return names of variables. An empty list is valid: no variable is a secret then."""
    expected = "names in capital letters such as DB2PW, as a list or separated by commas; [] for none"
    names = [] if value in ("", []) else _items(value, expected)
    for name in names:
        if not isinstance(name, str) or not re.fullmatch(SECRET_NAME, name):
            raise Unexpected(expected)
    return tuple(names)


def _items(value: Any, expected: str) -> list[Any]:
    items = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if not isinstance(items, list) or not items:
        raise Unexpected(expected)
    return items


def database(value: Any) -> str:
    """Return a path or a URL. A URL is validated here, so that no later error repeats it with its password."""
    if not isinstance(value, str) or not value.strip():
        raise Unexpected(DATABASE_EXPECTED)
    text = value.strip()
    if "://" not in text:
        return path(text)
    try:
        parsed = environ.Env.db_url_config(text)
    except (ValueError, TypeError):
        raise Unexpected(DATABASE_EXPECTED) from None
    if parsed.get("ENGINE") not in _DATABASE_ENGINES or not parsed.get("NAME"):
        raise Unexpected(DATABASE_EXPECTED)
    return text

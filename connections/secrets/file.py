"""The secrets file: reading, writing and checking. Lines are NAME=value, with optional quotes, or # comments.

Errors raised here never repeat its contents.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path

from connections.sdk.errors import ConfigurationInvalid
from connections.sdk.files.lock import LockHeld, file_lock
from connections.sdk.files.private import replace_file
from connections.sdk.parameters import SECRET_NAME
from connections.sdk.records import dataclass

_LINE = re.compile(rf"[ \t]*({SECRET_NAME})[ \t]*=[ \t]*(.*?)[ \t]*", re.ASCII | re.DOTALL)
_ESCAPES = {"\\": "\\", '"': '"', "n": "\n", "r": "\r"}
# seconds to wait for another process that writes the file
_LOCK_TIMEOUT = 30.0
_EXPECTED = "Expected NAME=value (the name in capital letters), a comment that begins with #, or an empty line."


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem of the secrets file, with what to do about it."""

    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Values by name, in the order of the file (of a repeated name the last), and the numbers of invalid lines."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    bad_lines: tuple[int, ...] = ()
    repeated_lines: tuple[int, ...] = ()


def read(path: Path) -> Contents:
    """Return the file's contents, empty if it does not exist. Raises ConfigurationInvalid if it cannot be read."""
    values: dict[str, str] = {}
    bad: list[int] = []
    repeated: list[int] = []
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            name, value = _parse(line)
        except ValueError:
            bad.append(number)
            continue
        if name in values:
            repeated.append(number)
        values[name] = value
    return Contents(values=values, bad_lines=tuple(bad), repeated_lines=tuple(repeated))


def write(path: Path, name: str, value: str) -> None:
    """Set one name, in its place or at the end. The file is replaced atomically, with mode 0600."""
    line = f"{name}={_quote(value)}"
    target = Path(os.path.realpath(path))
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file_lock(target.with_name(f".{target.name}.lock"), wait=_LOCK_TIMEOUT, remove=True):
            replace_file(target, "\n".join([*_with(_lines(target), name, line), ""]))
    except LockHeld as error:
        raise ConfigurationInvalid(
            f"The secrets file {path} is being written by another process.", hint="Try again when that has ended."
        ) from error
    except OSError as error:
        raise ConfigurationInvalid(
            f"The secrets file {path} cannot be written.", hint=_advice(error), detail=str(error)
        ) from error


def _advice(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Free space on that disk; the secrets set before are still there."
    return "Set secrets_file to a file, and run as the user that owns it."


def problems(path: Path) -> tuple[Problem, ...]:
    """Return all problems of the file: its mode, owner and lines. A missing file has none."""
    if not path.exists():
        return ()
    if not path.is_file():
        hint = "Set secrets_file, or PIPEKIT_SECRETS, to a file; secrets set creates it."
        return (Problem(message=f"{path} is not a file.", hint=hint),)
    try:
        return (*_access_problems(path), *_syntax_problems(path))
    except ConfigurationInvalid as error:
        return (*_access_problems(path), Problem(message=error.message, hint=error.hint))


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return []
    except IsADirectoryError:
        raise ConfigurationInvalid(
            f"The secrets file {path} is a directory.", hint="Set secrets_file, or PIPEKIT_SECRETS, to a file in it."
        ) from None
    except OSError as error:
        raise ConfigurationInvalid(
            f"The secrets file {path} cannot be read: {error.strerror}.",
            hint="Make the user that Pipekit runs as its owner, with mode 0600.",
        ) from error
    except UnicodeDecodeError:
        # not chained: the error contains the bytes
        raise ConfigurationInvalid(f"The secrets file {path} is not UTF-8.", hint="Save it as UTF-8.") from None
    # not splitlines(): a value may contain other Unicode line breaks
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines[:-1] if lines[-1] == "" else lines


def _parse(line: str) -> tuple[str, str]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError
    name, value = match.groups()
    if value[:1] not in ("'", '"'):
        return name, value
    quote = value[0]
    if len(value) < 2 or value[-1] != quote:
        raise ValueError
    inner = value[1:-1]
    return name, inner if quote == "'" else _unescape(inner)


def _unescape(inner: str) -> str:
    if re.fullmatch(r'(?:[^"\\]|\\.)*', inner, re.DOTALL) is None:
        raise ValueError
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), inner, flags=re.DOTALL)


def _quote(value: str) -> str:
    """Return the value as it is written, in double quotes if reading it back would change it otherwise."""
    if "\0" in value or re.search("[\ud800-\udfff]", value):
        raise ConfigurationInvalid("A secret cannot contain NUL characters or unpaired surrogates.")
    if value == value.strip(" \t") and value[:1] not in ("'", '"') and not re.search(r"[\r\n]", value):
        return value
    for char, escape in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r")):
        value = value.replace(char, escape)
    return f'"{value}"'


def _with(lines: list[str], name: str, line: str) -> list[str]:
    """Return the lines with the first one that sets the name replaced by ``line``, and other ones removed."""
    result: list[str] = []
    replaced = False
    for old in lines:
        match = _LINE.fullmatch(old)
        if match is None or match[1] != name:
            result.append(old)
        elif not replaced:
            result.append(line)
            replaced = True
    return result if replaced else [*result, line]


def _access_problems(path: Path) -> Iterator[Problem]:
    status = path.stat()
    mode = stat.S_IMODE(status.st_mode)
    if mode & ~0o640:
        yield Problem(
            message=f"The secrets file {path} has mode {mode:04o}; others may read or change it.",
            hint=f"chmod 600 {path}",
        )
    if status.st_uid not in (0, os.geteuid()):
        yield Problem(
            message=f"The secrets file {path} belongs to another user (id {status.st_uid}), who can change it.",
            hint="Make root or the user that Pipekit runs as its owner.",
        )
    directory = path.resolve().parent.stat()
    if directory.st_mode & stat.S_IWOTH and not directory.st_mode & stat.S_ISVTX:
        yield Problem(
            message=f"Any user can replace the secrets file: its directory {path.resolve().parent} is writable by all.",
            hint=f"chmod o-w {path.resolve().parent}",
        )


def _syntax_problems(path: Path) -> Iterator[Problem]:
    contents = read(path)
    for number in contents.bad_lines:
        yield Problem(message=f"{path}, line {number}: this line is invalid.", hint=_EXPECTED)
    for number in contents.repeated_lines:
        yield Problem(
            message=f"{path}, line {number}: this name was set before; the last line is used.", hint="Keep one."
        )

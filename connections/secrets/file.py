"""The secrets file: lines of NAME=value, comments with #, values quoted where they must be. Reads, replaces, checks it.

Nothing raised here repeats a line of it.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from connections.sdk.errors import ConfigurationInvalid
from connections.sdk.files.lock import LockHeld, file_lock

_LINE = re.compile(r"[ \t]*([A-Z_][A-Z0-9_]*)[ \t]*=[ \t]*(.*?)[ \t]*", re.ASCII | re.DOTALL)
_ESCAPES = {"\\": "\\", '"': '"', "n": "\n", "r": "\r"}
# seconds for another process to write it
_PATIENCE = 30.0
_EXPECTED = "Expected NAME=value (the name in capital letters), a comment that begins with #, or an empty line."


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Values by name in the file's order, the last of a repeated name; numbers of lines that say nothing."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    bad_lines: tuple[int, ...] = ()
    repeated_lines: tuple[int, ...] = ()


def read(path: Path) -> Contents:
    """Return what the file says; nothing when there is none. Raises ConfigurationInvalid when it cannot be read."""
    values: dict[str, str] = {}
    bad: list[int] = []
    repeated: list[int] = []
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            name, value = _parsed(line)
        except ValueError:
            bad.append(number)
            continue
        if name in values:
            repeated.append(number)
        values[name] = value
    return Contents(values=values, bad_lines=tuple(bad), repeated_lines=tuple(repeated))


def write(path: Path, name: str, value: str) -> None:
    """Set one name, in its place or at the end; readers see the file before or after, of mode 0600 either way."""
    line = f"{name}={_spelled(value)}"
    target = Path(os.path.realpath(path))
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file_lock(target.with_name(f".{target.name}.lock"), wait=_PATIENCE, remove=True):
            _replace(target, _with(_lines(target), name, line))
    except LockHeld as error:
        raise ConfigurationInvalid(
            f"The secrets file {path} is being written by another process.", hint="Try it again when that has ended."
        ) from error
    except OSError as error:
        raise ConfigurationInvalid(
            f"The secrets file {path} cannot be written.", hint=_advice(error), detail=str(error)
        ) from error


def _advice(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Make room on that disk; what was set before is still there."
    return "Set secrets_file to a file, and run as the user that owns it."


def problems(path: Path) -> tuple[Problem, ...]:
    """Return everything that is wrong with the file; no file is no problem."""
    if not path.exists():
        return ()
    if not path.is_file():
        hint = "Set secrets_file, or PIPEKIT_SECRETS, to a file; secrets set makes it."
        return (Problem(message=f"{path} is not a file.", hint=hint),)
    try:
        return (*_access(path), *_syntax(path))
    except ConfigurationInvalid as error:
        return (*_access(path), Problem(message=error.message, hint=error.hint))


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
            hint="Let the user that Pipekit runs as own it, mode 0600.",
        ) from error
    except UnicodeDecodeError:
        # not chained: the error holds the bytes
        raise ConfigurationInvalid(f"The secrets file {path} is not UTF-8.", hint="Save it as UTF-8.") from None
    # only line feeds part lines: a value may hold what else Unicode calls a line break
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines[:-1] if lines[-1] == "" else lines


def _parsed(line: str) -> tuple[str, str]:
    found = _LINE.fullmatch(line)
    if found is None:
        raise ValueError
    name, value = found.groups()
    if value[:1] not in ("'", '"'):
        return name, value
    quote = value[0]
    if len(value) < 2 or value[-1] != quote:
        raise ValueError
    inner = value[1:-1]
    return name, inner if quote == "'" else _unescaped(inner)


def _unescaped(inner: str) -> str:
    if re.fullmatch(r'(?:[^"\\]|\\.)*', inner, re.DOTALL) is None:
        raise ValueError
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), inner, flags=re.DOTALL)


def _spelled(value: str) -> str:
    """Return a value so that reading it gives the same: bare where that is enough, else in double quotes."""
    if "\0" in value or re.search("[\ud800-\udfff]", value):
        raise ConfigurationInvalid("A secret cannot hold NUL characters or halves of surrogate pairs.")
    if value == value.strip(" \t") and value[:1] not in ("'", '"') and not re.search(r"[\r\n]", value):
        return value
    for char, escape in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r")):
        value = value.replace(char, escape)
    return f'"{value}"'


def _with(lines: list[str], name: str, line: str) -> list[str]:
    """Return the lines with one in place of those that set the name, or at the end."""
    kept: list[str] = []
    placed = False
    for old in lines:
        found = _LINE.fullmatch(old)
        if found is None or found[1] != name:
            kept.append(old)
        elif not placed:
            kept.append(line)
            placed = True
    return kept if placed else [*kept, line]


def _replace(target: Path, lines: list[str]) -> None:
    # mkstemp makes it 0600
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write("\n".join([*lines, ""]))
            file.flush()
            os.fsync(handle)
            if target.exists() and os.geteuid() == 0:
                # written by root for the user that Pipekit runs as
                owner = target.stat()
                os.fchown(handle, owner.st_uid, owner.st_gid)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


def _access(path: Path) -> Iterator[Problem]:
    found = path.stat()
    mode = stat.S_IMODE(found.st_mode)
    if mode & ~0o640:
        yield Problem(
            message=f"The secrets file {path} has mode {mode:04o}; others may read or change it.",
            hint=f"chmod 600 {path}",
        )
    if found.st_uid not in (0, os.geteuid()):
        yield Problem(
            message=f"The secrets file {path} belongs to another user (id {found.st_uid}), who can change it.",
            hint="Let root or the user that Pipekit runs as own it.",
        )
    around = path.resolve().parent.stat()
    if around.st_mode & stat.S_IWOTH and not around.st_mode & stat.S_ISVTX:
        yield Problem(
            message=f"Anybody may replace the secrets file: its directory {path.resolve().parent} is writable by all.",
            hint=f"chmod o-w {path.resolve().parent}",
        )


def _syntax(path: Path) -> Iterator[Problem]:
    contents = read(path)
    for number in contents.bad_lines:
        yield Problem(message=f"{path}, line {number}: this line sets nothing.", hint=_EXPECTED)
    for number in contents.repeated_lines:
        yield Problem(
            message=f"{path}, line {number}: this name was set before; the last one counts.", hint="Keep one."
        )

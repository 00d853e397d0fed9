"""Puts the one line that ticks into the user's crontab, made by django-crontab, and takes it out again.

django-crontab would overwrite a crontab that it could not read, and never notice that writing failed; so the reading,
the writing and the proof that every other line is still there byte for byte are ours. A copy is kept first.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.utils import timezone
from django_crontab.crontab import Crontab

from connections.sdk.errors import ConfigurationInvalid
from scheduling.crontab import file as crontab
from scheduling.crontab.file import CrontabFailed

# cron's environment is nearly empty, so what this install was told by variables goes into the line: paths as they were
# understood, which is the configuration's attribute, the rest as it is
_PATHS = {
    "PIPEKIT_CONFIG": "config_file",
    "PIPEKIT_DATA_DIR": "data_dir",
    "PIPEKIT_DATABASE": "database",
    "PIPEKIT_DRIVER_DIR": "driver_dir",
    "PIPEKIT_JRUNNER_PATH": "jrunner_path",
    "PIPEKIT_SECRETS": "secrets_file",
    "PIPEKIT_SECRETS_FILE": "secrets_file",
}
_TEXTS = ("PIPEKIT_SMTP_FROM", "PIPEKIT_SMTP_HOST", "PIPEKIT_SMTP_PORT", "PIPEKIT_SMTP_TO", "TZ")
_LONGEST = 990


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    line: str
    # where the crontab is kept as it was; None where there was none
    backup: Path | None
    changed: bool


def install() -> Installed:
    """Make the crontab hold our line exactly once. Raises with the crontab as it was."""
    return _replace(_our_line())


def uninstall() -> Installed:
    """Take our line out, and nothing else."""
    return _replace("")


def installed_lines() -> list[str]:
    """Return our lines in the crontab: one, where all is well."""
    text = crontab.read(crontab.program()) or b""
    return [line for line in _lines(text) if _is_ours(line)]


def _replace(ours: str) -> Installed:
    """1. read, 2. keep a copy, 3. write, 4. read back; put the copy back where that shows anything unexpected."""
    program = crontab.program()
    before = crontab.read(program)
    lines = _lines(before or b"")
    foreign = [line for line in lines if not _is_ours(line)]
    wanted = [*foreign, *([ours] if ours else [])]
    if sorted(lines) == sorted(wanted):
        return Installed(line=ours, backup=None, changed=False)
    backup = _keep(before)
    try:
        crontab.write(program, _text(wanted) if wanted else None)
        _check(_lines(crontab.read(program) or b""), wanted)
    except CrontabFailed as error:
        raise _put_back(program, before, backup, error) from error
    return Installed(line=ours, backup=backup, changed=True)


def _check(found: list[str], wanted: list[str]) -> None:
    if found != wanted:
        raise CrontabFailed("The crontab does not read back as it was written.", detail=f"{len(found)} lines")


def _put_back(program: str, before: bytes | None, backup: Path | None, error: CrontabFailed) -> CrontabFailed:
    kept = f" It is kept in {backup}." if backup else ""
    try:
        if crontab.read(program) != before:
            crontab.write(program, before)
        if crontab.read(program) != before:
            raise CrontabFailed("It reads back otherwise.")
    except CrontabFailed as again:
        return CrontabFailed(
            f"{error.message} The crontab as it was could not be put back.{kept}",
            hint=f"Put it back by hand: crontab {backup}" if backup else "Look at it: crontab -l",
            detail=f"{error.detail}; {again.message} {again.detail}",
        )
    return CrontabFailed(f"{error.message} The crontab is as it was.{kept}", hint=error.hint, detail=error.detail)


def _keep(before: bytes | None) -> Path | None:
    if before is None:
        return None
    directory = Path(settings.PIPEKIT.data_dir) / "backups"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = directory / f"crontab-{timezone.now():%Y%m%dT%H%M%S.%f}"
    # others' lines may hold passwords
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(before)
        opened.flush()
        os.fsync(opened.fileno())
    return file


def _our_line() -> str:
    made = _django_crontab()
    made.crontab_lines = []
    made.add_jobs()
    (line,) = made.crontab_lines
    line = str(line).removesuffix("\n")
    if len(line.encode()) > _LONGEST:
        raise ConfigurationInvalid(
            f"The line would be {len(line.encode())} bytes long, and cron takes {_LONGEST}.",
            hint="Set less by PIPEKIT_ variables and more in config.yaml.",
        )
    return line


def _django_crontab() -> Crontab:
    found = Crontab(verbosity=0)
    found.settings.PYTHON_EXECUTABLE = _word(sys.executable, "The path of Python")
    found.settings.DJANGO_MANAGE_PATH = _word(settings.CRONTAB_DJANGO_MANAGE_PATH, "The path of Pipekit")
    carried = [f"{name}={_word(value, name)}" for name, value in _environment().items()]
    # env, since a crontab may say that its shell is one that sets variables otherwise
    found.settings.COMMAND_PREFIX = " ".join(["env", *carried]) if carried else ""
    log = _word(str(Path(settings.PIPEKIT.log_dir) / "tick.log"), "The path of the log directory")
    found.settings.COMMAND_SUFFIX = f">> {log} 2>&1"
    return found


def _environment() -> dict[str, str]:
    """Return what must be carried over. Raises for what would be readable to everyone on the machine."""
    carried = {name: str(getattr(settings.PIPEKIT, key)) for name, key in _PATHS.items() if os.environ.get(name)}
    if os.environ.get("PIPEKIT_FILE_ROOTS"):
        carried["PIPEKIT_FILE_ROOTS"] = ",".join(map(str, settings.PIPEKIT.file_roots))
    carried |= {name: os.environ[name] for name in _TEXTS if os.environ.get(name)}
    if re.search(r"://[^/]*:[^/]*@|password=", carried.get("PIPEKIT_DATABASE", "")):
        raise ConfigurationInvalid(
            "PIPEKIT_DATABASE holds a password, which does not belong into a crontab.",
            hint="Set `database` in config.yaml instead, and unset the variable.",
        )
    return carried


def _word(text: str, what: str) -> str:
    """Return it as one word for sh within a crontab line."""
    if found := re.search(r"[#%\\\n\r\x00]", text):
        raise ConfigurationInvalid(
            f"{what}, {text!r}, has the character {found[0]!r} in it, which a crontab line cannot hold.",
            hint="Use a path without it, or keep `manage.py scheduler` running instead.",
        )
    return shlex.quote(text)


def _is_ours(line: str) -> bool:
    return line.rstrip().endswith(f"# {settings.CRONTAB_COMMENT}") and not line.lstrip().startswith("#")


def _lines(text: bytes) -> list[str]:
    """Bytes that are no UTF-8 survive the way there and back."""
    lines = text.decode("utf-8", "surrogateescape").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _text(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")

"""Installs and removes the crontab line that runs the tick.

django-crontab makes the line. It would overwrite a crontab that it could not read and not notice a failed write, so
reading, writing, a backup and the check that all other lines are unchanged are done here.
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

_MAX_LINE_BYTES = 990
_OTHER_PATH = "Use a path without it, or keep `manage.py scheduler` running instead."


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """The result of installing or removing the line."""

    line: str
    # the copy of the previous crontab; None if there was none or nothing changed
    backup: Path | None
    changed: bool


def install_line() -> Installed:
    """Make the crontab contain the line exactly once. Raise CrontabFailed, normally with the crontab unchanged."""
    return _replace(_make_line())


def remove_line() -> Installed:
    """Remove the line of this installation and nothing else."""
    return _replace("")


def installed_lines() -> list[str]:
    """Return the lines of this installation in the crontab; exactly one if it is installed correctly."""
    text = crontab.read(crontab.program()) or b""
    return [line for line in _lines(text) if _is_own(line)]


def is_current(lines: list[str]) -> bool:
    """Return whether the lines are as `install_line` makes them. Raise ConfigurationInvalid if it would be refused."""
    return lines == [_make_line()]


def _replace(own: str) -> Installed:
    """1. Read, 2. back up, 3. write, 4. read back, and restore the backup if anything is unexpected."""
    program = crontab.program()
    before = crontab.read(program)
    lines = _lines(before or b"")
    others = [line for line in lines if not _is_own(line)]
    wanted = [*others, *([own] if own else [])]
    if sorted(lines) == sorted(wanted):
        return Installed(line=own, backup=None, changed=False)
    backup = _back_up(before)
    try:
        crontab.write(program, _text(wanted) if wanted else None)
        _check(_lines(crontab.read(program) or b""), wanted)
    except CrontabFailed as error:
        raise _restore(program, before, backup, error) from error
    return Installed(line=own, backup=backup, changed=True)


def _check(lines: list[str], wanted: list[str]) -> None:
    if lines != wanted:
        raise CrontabFailed("The crontab does not read back as it was written.", detail=f"{len(lines)} lines")


def _restore(program: str, before: bytes | None, backup: Path | None, error: CrontabFailed) -> CrontabFailed:
    saved = f" It is saved in {backup}." if backup else ""
    try:
        if crontab.read(program) != before:
            crontab.write(program, before)
        if crontab.read(program) != before:
            raise CrontabFailed("It reads back differently.")
    except CrontabFailed as again:
        return CrontabFailed(
            f"{error.message} The previous crontab could not be restored.{saved}",
            hint=f"Restore it manually: crontab {backup}" if backup else "Check it: crontab -l",
            detail=f"{error.detail}; {again.message} {again.detail}",
        )
    return CrontabFailed(f"{error.message} The crontab is unchanged.{saved}", hint=error.hint, detail=error.detail)


def _back_up(before: bytes | None) -> Path | None:
    if before is None:
        return None
    directory = Path(settings.PIPEKIT.data_dir) / "backups"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = directory / f"crontab-{timezone.now():%Y%m%dT%H%M%S.%f}"
    # other lines may contain passwords
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(before)
        opened.flush()
        os.fsync(opened.fileno())
    return file


def _make_line() -> str:
    django_crontab = _django_crontab()
    django_crontab.crontab_lines = []
    # the other entries are those of earlier versions' lines
    django_crontab.settings.CRONJOBS = settings.CRONJOBS[:1]
    django_crontab.add_jobs()
    (line,) = django_crontab.crontab_lines
    line = str(line).removesuffix("\n")
    if len(line.encode()) > _MAX_LINE_BYTES:
        raise ConfigurationInvalid(
            f"The line would be {len(line.encode())} bytes long, and cron accepts {_MAX_LINE_BYTES}.",
            hint="Move settings from PIPEKIT_ variables to config.yaml.",
        )
    return line


def _django_crontab() -> Crontab:
    crontab_maker = Crontab(verbosity=0)
    crontab_maker.settings.PYTHON_EXECUTABLE = _word(sys.executable, "The path of Python")
    crontab_maker.settings.DJANGO_MANAGE_PATH = _word(settings.CRONTAB_DJANGO_MANAGE_PATH, "The path of Pipekit")
    in_file = "Set it in config.yaml instead, and unset the variable."
    variables = [
        f"{name}={_word(value, name, hint=_OTHER_PATH if name == 'PIPEKIT_CONFIG' else in_file)}"
        for name, value in _environment().items()
    ]
    # env works in any shell that the crontab may set
    crontab_maker.settings.COMMAND_PREFIX = " ".join(["env", *variables]) if variables else ""
    log = _word(str(Path(settings.PIPEKIT.log_dir) / "tick.log"), "The path of the log directory")
    crontab_maker.settings.COMMAND_SUFFIX = f">> {log} 2>&1"
    return crontab_maker


def _environment() -> dict[str, str]:
    """Return the variables to write into the line. Raise ConfigurationInvalid for one that contains a password.

    cron runs commands with an almost empty environment, so that those that configure this installation are needed.
    """
    variables: dict[str, str] = settings.PIPEKIT.variables()
    if os.environ.get("TZ"):
        variables["TZ"] = os.environ["TZ"]
    if re.search(r"://[^/]*:[^/]*@|password=", variables.get("PIPEKIT_DATABASE", "")):
        raise ConfigurationInvalid(
            "PIPEKIT_DATABASE contains a password, which must not be written into a crontab.",
            hint="Set `database` in config.yaml instead, and unset the variable.",
        )
    return variables


def _word(text: str, what: str, *, hint: str = _OTHER_PATH) -> str:
    """Return the text quoted as one word for sh. Raise ConfigurationInvalid if a crontab line cannot contain it."""
    if match := re.search(r"[#%\\\n\r\x00]", text):
        raise ConfigurationInvalid(
            f"{what}, {text!r}, contains the character {match[0]!r}, which a crontab line cannot hold.",
            hint=hint,
        )
    return shlex.quote(text)


def _is_own(line: str) -> bool:
    return line.rstrip().endswith(f"# {settings.CRONTAB_COMMENT}") and not line.lstrip().startswith("#")


def _lines(text: bytes) -> list[str]:
    """Return the lines as text; bytes that are not UTF-8 are kept by surrogateescape (see `_text`)."""
    lines = text.decode("utf-8", "surrogateescape").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _text(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")

"""Reads and writes the user's crontab as bytes through the `crontab` program, and checks each exit code."""

from __future__ import annotations

import os
import shutil
import subprocess

from connections.sdk.errors import ConfigurationInvalid, PipekitError

_TIMEOUT = 30


class CrontabFailed(PipekitError):
    """The crontab could not be read or written. It is unchanged unless the message says otherwise."""

    code = "crontab_failed"


def program() -> str:
    """Return the path of the crontab program. Raise ConfigurationInvalid if there is none."""
    path = shutil.which("crontab")
    if path is None:
        raise ConfigurationInvalid(
            "This machine has no crontab program.",
            hint="Install cron (apt install cron), or keep `manage.py scheduler` running instead.",
        )
    return path


def read(crontab: str) -> bytes | None:
    """Return the crontab; None if the user has none. Raise CrontabFailed if that cannot be told for certain."""
    done = _run([crontab, "-l"])
    if done.returncode == 0:
        return done.stdout
    if b"no crontab for" in done.stderr.lower():
        return None
    raise CrontabFailed(
        "The crontab could not be read, so it was not changed.",
        hint="Check that `crontab -l` works for this user.",
        detail=_output(done),
    )


def write(crontab: str, text: bytes | None) -> None:
    """Replace the crontab; None removes it. Raise CrontabFailed if the program refuses it."""
    done = _run([crontab, "-r"]) if text is None else _run([crontab, "-"], text)
    if done.returncode:
        raise CrontabFailed(
            "The crontab program rejected the crontab.", hint="Check that `crontab -e` works.", detail=_output(done)
        )


def _run(argv: list[str], stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        # the messages are parsed, so they must be in English
        english = {**os.environ, "LC_ALL": "C"}
        return subprocess.run(argv, input=stdin, capture_output=True, timeout=_TIMEOUT, check=False, env=english)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CrontabFailed(
            f"{argv[0]} could not be run.", hint="Check that it is an executable file.", detail=str(error)
        ) from None


def _output(done: subprocess.CompletedProcess[bytes]) -> str:
    return done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"

"""The user's crontab as the `crontab` program shows and takes it. Bytes all the way; every answer is looked at."""

from __future__ import annotations

import os
import shutil
import subprocess

from connections.sdk.errors import ConfigurationInvalid, PipekitError

_SECONDS = 30


class CrontabFailed(PipekitError):
    """The crontab could not be read or written; it is as it was, or the message says otherwise."""

    code = "crontab_failed"


def program() -> str:
    """Return the crontab program's path."""
    found = shutil.which("crontab")
    if found is None:
        raise ConfigurationInvalid(
            "This machine has no crontab program.",
            hint="Install cron (apt install cron), or keep `manage.py scheduler` running instead.",
        )
    return found


def read(crontab: str) -> bytes | None:
    """Return the crontab's text, None where the user has none. Anything else is an error, never an empty crontab."""
    done = _run([crontab, "-l"])
    if done.returncode == 0:
        return done.stdout
    if b"no crontab for" in done.stderr.lower():
        return None
    raise CrontabFailed(
        "The crontab could not be read, so it is left alone.",
        hint="Does `crontab -l` work for this user?",
        detail=_said(done),
    )


def write(crontab: str, text: bytes | None) -> None:
    """Put a crontab in place of the old one; None removes it."""
    done = _run([crontab, "-r"]) if text is None else _run([crontab, "-"], text)
    if done.returncode:
        raise CrontabFailed(
            "The crontab program did not take the crontab.", hint="Does `crontab -e` work?", detail=_said(done)
        )


def _run(argv: list[str], given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        # what it says is looked at, so in English
        english = {**os.environ, "LC_ALL": "C"}
        return subprocess.run(argv, input=given, capture_output=True, timeout=_SECONDS, check=False, env=english)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CrontabFailed(
            f"{argv[0]} could not be run.", hint="Is it an executable file?", detail=str(error)
        ) from None


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    return done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"

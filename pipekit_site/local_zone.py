"""The IANA name of the machine's time zone: the default of schedules, and the zone of times in the admin."""

from __future__ import annotations

import os
import zoneinfo
from pathlib import Path


def local_zone_name() -> str:
    """Return the name, such as ``Europe/Berlin``, from TZ, /etc/localtime or /etc/timezone; else ``UTC``."""
    for name in (
        os.environ.get("TZ", "").lstrip(":"),
        _from_link(Path("/etc/localtime")),
        _from_file(Path("/etc/timezone")),
    ):
        if _is_zone(name):
            return name
    return "UTC"


def _from_link(file: Path) -> str:
    return os.path.realpath(file).partition("/zoneinfo/")[2]


def _from_file(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def _is_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return False
    # "localtime" is a file in the zone directory, but not a zone
    return bool(name) and name != "localtime"

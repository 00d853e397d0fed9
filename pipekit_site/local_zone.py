"""The IANA name of the machine's time zone, which schedules default to and pages are shown in."""

from __future__ import annotations

import os
import zoneinfo
from pathlib import Path


def local_zone_name() -> str:
    """Return for example ``Europe/Berlin``; ``UTC`` where the machine does not say."""
    for name in (
        os.environ.get("TZ", "").lstrip(":"),
        _linked(Path("/etc/localtime")),
        _written(Path("/etc/timezone")),
    ):
        if _is_zone(name):
            return name
    return "UTC"


def _linked(file: Path) -> str:
    return os.path.realpath(file).partition("/zoneinfo/")[2]


def _written(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def _is_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return False
    # "localtime" is a file of the zone directory, not a zone
    return bool(name) and name != "localtime"

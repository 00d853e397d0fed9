"""The IANA name of the machine's time zone: the default of schedules, and the zone of times in the admin."""

from __future__ import annotations

import logging
import os
import zoneinfo

from tzlocal import get_localzone_name

# it warns of an outdated /etc/timezone, which it ignores, and would do so on stderr in every command
logging.getLogger("tzlocal").setLevel(logging.ERROR)


def local_zone_name() -> str:
    """Return the name, such as ``Europe/Berlin``, from TZ or the machine's files; else ``UTC``."""
    # tzlocal takes from TZ only names that it can translate for Windows: not GMT, not EST5EDT
    for name in (os.environ.get("TZ", "").lstrip(":"), _from_files()):
        if _is_zone(name):
            return name
    return "UTC"


def _from_files() -> str:
    try:
        return get_localzone_name() or ""
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        # the files contradict each other, or one has what is no name
        return ""


def _is_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return False
    # "localtime" is a file in the zone directory, but not a zone
    return bool(name) and name != "localtime"

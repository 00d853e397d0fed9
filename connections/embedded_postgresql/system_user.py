"""The system user that an embedded server runs as: the current one, or for root, which PostgreSQL refuses, its own."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

_NAME = "pgserver"


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemUser:
    """A user of the operating system."""

    name: str
    uid: int
    gid: int

    def process(self) -> Mapping[str, Any]:
        """Return the arguments with which ``subprocess`` runs a program as this user, without root's groups."""
        if self.uid == os.geteuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


@cache
def system_user() -> SystemUser:
    """Return the user that servers run as, creating ``pgserver`` if the current one is root."""
    if os.geteuid() != 0:
        return SystemUser(name=_name(os.geteuid()), uid=os.geteuid(), gid=os.getegid())
    try:
        entry = pwd.getpwnam(_NAME)
    except KeyError:
        command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", _NAME]
        subprocess.run(command, check=True, capture_output=True, text=True)
        entry = pwd.getpwnam(_NAME)
    return SystemUser(name=_NAME, uid=entry.pw_uid, gid=entry.pw_gid)


def client_name() -> str:
    """Return the name of this process's user, which peer authentication compares."""
    return _name(os.geteuid())


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)

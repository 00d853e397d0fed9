"""Who the server runs as: this user, or, because PostgreSQL does not run as root, a user of its own."""

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
    name: str
    uid: int
    gid: int

    def process(self) -> Mapping[str, Any]:
        """Return what makes a subprocess this user's, with none of root's groups."""
        if self.uid == os.geteuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


@cache
def system_user() -> SystemUser:
    """Return the user; one of its own is made when root asks and there is none."""
    if os.geteuid() != 0:
        return SystemUser(name=_name(os.geteuid()), uid=os.geteuid(), gid=os.getegid())
    try:
        found = pwd.getpwnam(_NAME)
    except KeyError:
        command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", _NAME]
        subprocess.run(command, check=True, capture_output=True, text=True)
        found = pwd.getpwnam(_NAME)
    return SystemUser(name=_NAME, uid=found.pw_uid, gid=found.pw_gid)


def client_name() -> str:
    """Return the name by which the server knows the other end of its socket: this process's user."""
    return _name(os.geteuid())


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)

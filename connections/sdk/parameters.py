"""How to reach a system: the values a connector gets, and the declaration of which of them are secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from connections.sdk.files import protection as protecting
from connections.sdk.files.protection import Protection


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionParameters:
    """Everything needed to connect, secret resolved. Lives only in the process that connects.

    ``url`` is the JDBC form or the system's own (``postgresql://``, a libpq socket path, a file).
    ``options`` are session settings: see the connector's manifest. ``repr`` never shows the password.
    """

    kind: str
    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)
    # how messages name it: the connection's name, never its URL
    name: str = ""
    # what it must not reach; unless given, what this process protects
    protection: Protection = field(default_factory=protecting.current, repr=False)

    def as_json(self) -> dict[str, Any]:
        """Return the job form, password included: for a child's standard input only."""
        return {
            "kind": self.kind,
            "url": self.url,
            "username": self.username,
            "password": self.password,
            "options": dict(self.options),
            "name": self.name,
            "protection": self.protection.as_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ConnectionParameters:
        """Raises KeyError or TypeError for another shape; a job that does not say what is protected is none."""
        return cls(**{**data, "protection": Protection.from_json(data["protection"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One declared option of a connector: form, masking, API and logs all follow it."""

    name: str
    description: str
    secret: bool = False
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()
    # JSON Schema's word: string, integer, number, boolean, object or array
    type: str = "string"

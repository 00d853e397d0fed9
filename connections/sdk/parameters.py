"""The parameters with which a connector connects, and the declaration of a connector's options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any, cast

from connections.sdk.files.protection import Protection
from connections.sdk.files.protection import current as current_protection
from connections.sdk.records import dataclass

# the name of a secret, and a whole `$NAME` reference to one, in a syntax that Python and PostgreSQL share
SECRET_NAME = r"[A-Z_][A-Z0-9_]*"
REFERENCE = rf"\A\${SECRET_NAME}\Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionParameters:
    """Everything needed to open a connection, including the resolved password.

    Exists only in processes that connect. ``url`` is a JDBC URL or the system's own form (``postgresql://``, a libpq
    socket path, a file). ``options`` are those declared by the connector's manifest, and those that the engine sets;
    the properties below return the latter. ``repr`` shows neither the password nor the options, some of which are
    secrets.
    """

    kind: str
    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    # the connection's name, for messages
    name: str = ""
    # what the connection must not reach; defaults to what this process protects
    protection: Protection = field(default_factory=current_protection, repr=False)

    @property
    def create(self) -> bool:
        """Whether a missing file is created. The engine sets it to False where it only looks at what exists."""
        return bool(self.options.get("create"))

    @property
    def dry_run(self) -> bool:
        """Whether nothing is written: an empty database in memory stands for a missing file that would be created."""
        return bool(self.options.get("dry_run"))

    @property
    def connect_timeout(self) -> int | None:
        """Seconds within which the connection must be open, while a user waits; None leaves them to the connector."""
        return cast("int | None", self.options.get("connect_timeout"))

    @property
    def no_progress_timeout(self) -> float | None:
        """Seconds for which the system may be idle during a statement; 0 means no limit, None that none is set."""
        return cast("float | None", self.options.get("no_progress_timeout"))

    @property
    def same_file(self) -> bool:
        """Whether source and destination of the transfer are one file, which some systems lock."""
        return bool(self.options.get("same_file"))

    def with_options(self, **options: Any) -> ConnectionParameters:
        """Return the parameters with these options in addition, or instead of those of the same names."""
        return replace(self, options={**self.options, **options})

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form for a jrunner job. Contains the password: pass it only by a child's standard input."""
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
        """Return the parameters that `as_json` represents. Raises KeyError or TypeError for any other value."""
        return cls(**{**data, "protection": Protection.from_json(data["protection"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """The declaration of one option of a connector, used by validation, binding, redaction and the driver's page."""

    name: str
    description: str
    secret: bool = False
    # decides where secrets are sent, or how they are protected on the way
    target: bool = False
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()
    # a JSON Schema type: string, integer, number, boolean, object or array
    type: str = "string"

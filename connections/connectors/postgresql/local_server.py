"""The embedded server of a connection: the option ``embedded`` names its data directory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connections.sdk.errors import ConfigurationInvalid
from connections.sdk.records import dataclass


def of_options(options: Mapping[str, Any]) -> EmbeddedServer | None:
    """Return the server that the options name, None if they name none."""
    directory = options.get("embedded")
    return EmbeddedServer(str(directory)) if directory else None


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """An embedded PostgreSQL server; see `connections.embedded_postgresql`, which is imported late."""

    directory: str

    def check(self, within: str) -> None:
        """Raise ConfigurationInvalid if the directory is neither Pipekit's own nor could become so."""
        from connections.embedded_postgresql import directory_checks

        try:
            directory_checks.check(directory_checks.real(self.directory), within)
        except OSError as error:
            raise ConfigurationInvalid(
                f"The directory {self.directory} cannot be read: {error.strerror}.",
                hint="Name one inside the data directory.",
            ) from None

    def is_running(self, within: str) -> bool:
        """Return whether the server runs; it is not started. Raise ConfigurationInvalid as `check`."""
        from connections import embedded_postgresql

        return embedded_postgresql.is_running(self.directory, within=within)

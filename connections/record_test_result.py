"""Tests a stored connection and records the result on its row, for the command and for the admin."""

from __future__ import annotations

from collections.abc import Callable

from connections.models import Connection
from connections.probe import Result, Step, probe_connection


def run_test(
    connection: Connection, *, write: bool = False, on_step: Callable[[Step], None] = lambda step: None
) -> Result:
    """Test the connection, save the result and return it.

    Write permissions are tested if ``write`` is true or the connection is a destination.
    """
    result = probe_connection(
        connection.parameters,
        name=connection.name,
        kind=connection.driver.kind,
        write=write or connection.is_destination,
        on_step=on_step,
    )
    connection.record_test(ok=result.ok, message=result.message)
    return result

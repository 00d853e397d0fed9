"""Test a stored connection and keep the result on its row: what the command and the admin's button both do."""

from __future__ import annotations

from collections.abc import Callable

from connections import probe
from connections.models import Connection


def tested(
    connection: Connection, *, write: bool = False, listen: Callable[[probe.Step], None] = lambda step: None
) -> probe.Result:
    """Return the steps that were taken; a destination's rights are tested where modules write to it, or on demand."""
    result = probe.probe(
        connection.parameters,
        name=connection.name,
        kind=connection.driver.kind,
        write=write or connection.dest_modules.exists(),
        listen=listen,
    )
    connection.record_test(ok=result.ok, message=result.message)
    return result

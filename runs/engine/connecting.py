"""Sessions of a run: opened late, closed early, because some systems let only one process write at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from connections import registry
from connections.sdk.capabilities import Cap
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Session

# seconds for connecting when somebody waits for the end of a run
_SOON = 4


def hurried(parameters: ConnectionParameters) -> ConnectionParameters:
    """Return the same, to be connected soon or not at all."""
    return replace(parameters, options={**parameters.options, "connect_timeout": _SOON})


def for_inspection(parameters: ConnectionParameters) -> ConnectionParameters:
    """Return the same, to look at what is there: connected soon or not at all, and a missing file is not created."""
    found = hurried(parameters)
    return replace(found, options={name: value for name, value in found.options.items() if name != "create"})


@contextmanager
def open_session(parameters: ConnectionParameters, needs: Cap = Cap.NONE) -> Iterator[Session]:
    """Open a control session for the time of the block."""
    session = registry.connector(parameters.kind, needs).connect(parameters)
    try:
        yield session
    except KeyboardInterrupt:
        session.cancel()
        raise
    finally:
        session.close()

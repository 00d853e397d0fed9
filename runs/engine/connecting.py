"""Sessions of a run: opened late, closed early, because some systems let only one process write at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from connections import registry
from connections.sdk.capabilities import Cap
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Session


@contextmanager
def session(parameters: ConnectionParameters, needs: Cap = Cap.NONE) -> Iterator[Session]:
    """Open a control session for the time of the block."""
    opened = registry.connector(parameters.kind, needs).connect(parameters)
    try:
        yield opened
    except KeyboardInterrupt:
        opened.cancel()
        raise
    finally:
        opened.close()

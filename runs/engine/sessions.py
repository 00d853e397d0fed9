"""Sessions of a run, opened late and closed early because some systems allow only one writing process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from connections import registry
from connections.sdk.capabilities import Cap
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Session

# connect_timeout in seconds while a user waits for the result
_SHORT_TIMEOUT = 4


def with_short_timeout(parameters: ConnectionParameters) -> ConnectionParameters:
    """Return the parameters with a short connect_timeout."""
    return parameters.with_options(connect_timeout=_SHORT_TIMEOUT)


def for_inspection(parameters: ConnectionParameters) -> ConnectionParameters:
    """Return the parameters for only reading what exists: a short timeout, and a missing file is not created."""
    return with_short_timeout(parameters).with_options(create=False)


def for_plan(parameters: ConnectionParameters, *, dry_run: bool) -> ConnectionParameters:
    """Return the parameters for a run or a dry run, in which nothing is written."""
    return parameters.with_options(dry_run=True) if dry_run else parameters


@contextmanager
def open_session(parameters: ConnectionParameters, needs: Cap = Cap.NONE) -> Iterator[Session]:
    """Open a session for the block, on a connector that has the capabilities ``needs``; close it at the end."""
    session = registry.connector(parameters.kind, needs).connect(parameters)
    try:
        yield session
    except KeyboardInterrupt:
        session.cancel()
        raise
    finally:
        session.close()

"""Ports of this machine that the system assigns to no other process while a test uses them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reserved_port() -> Iterator[int]:
    """Return, for the block, a port of 127.0.0.1 on which nothing listens.

    It stays bound, so that the system does not assign it; a server that sets SO_REUSEADDR, as servers do, can
    nevertheless listen on it.
    """
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]

"""Where a webhook may be posted to, judged by the addresses that its host has at the moment of sending.

The connection is made to an address that was judged: a name that leads elsewhere a moment later leads nowhere.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from connections.sdk.errors import ConfigurationInvalid
from connections.url import addresses

Connect = Callable[..., socket.socket]
_HINT = "Name a receiver on the internet; webhook_private in config.yaml allows this machine and private networks."


def judged(host: str, port: int, *, private: bool) -> list[str]:
    """Return the addresses of a host, in the resolver's order.

    Raises ConfigurationInvalid when one of them is link-local or a metadata service's, or, unless ``private``, one of
    this machine or a private network; OSError or ValueError when the name is unknown.
    """
    if host.rstrip(".").lower() in addresses.METADATA_HOSTS:
        raise ConfigurationInvalid("The webhook leads to a metadata service; nothing was sent.", hint=_HINT)
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    found = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    for text in found:
        _judge(addresses.parsed(text), private=private)
    return found


def _judge(address: addresses.Address | None, *, private: bool) -> None:
    if address is None or addresses.is_forbidden(address) or address.is_multicast:
        what = "a link-local address or a metadata service"
    elif not private and not addresses.is_public(address):
        what = "this machine or a private network"
    else:
        return
    raise ConfigurationInvalid(f"The webhook leads to {what}; nothing was sent.", hint=_HINT)


def connecting_to(found: list[str]) -> Connect:
    """Return what connects to the first of these addresses that answers, whatever the name leads to by then."""

    def connect(place: tuple[str, int], timeout: Any = None, source_address: Any = None) -> socket.socket:
        last: OSError | None = None
        for address in found:
            try:
                return socket.create_connection((address, place[1]), timeout, source_address)
            except OSError as error:
                last = error
        raise last or OSError("the host has no address")

    return connect

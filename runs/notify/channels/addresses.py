"""Checks the addresses of a webhook's host when it is sent, against server-side request forgery.

The connection is made to one of the addresses that were checked, so DNS rebinding between check and connect has no
effect.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from connections.daemon_thread import in_daemon_thread
from connections.sdk.errors import ConfigurationInvalid
from connections.url import addresses

_HINT = "Use a receiver on the internet, or allow this machine and private networks: webhook_private in config.yaml."


class EventLoop(asyncio.SelectorEventLoop):
    """An event loop whose lookups of names can be abandoned, so that a timeout ends them, too."""

    async def getaddrinfo(self, host: Any, port: Any, **keywords: Any) -> Any:
        return await asyncio.wrap_future(in_daemon_thread(lambda: socket.getaddrinfo(host, port, **keywords)))


async def resolve(host: str, port: int, *, private: bool) -> list[str]:
    """Return the addresses of a host, in the resolver's order.

    Raise ConfigurationInvalid if one of them is link-local or a cloud metadata service, or, unless ``private``, this
    machine or on a private network; OSError or ValueError if the name cannot be resolved.
    """
    if host.rstrip(".").lower() in addresses.METADATA_HOSTS:
        raise ConfigurationInvalid("The webhook's address is a metadata service; nothing was sent.", hint=_HINT)
    answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    resolved = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    for address in resolved:
        _check(addresses.parsed(address), private=private)
    return resolved


def _check(address: addresses.Address | None, *, private: bool) -> None:
    if address is None or addresses.is_forbidden(address) or address.is_multicast:
        what = "a link-local address or a metadata service"
    elif not private and not addresses.is_public(address):
        what = "this machine or a private network"
    else:
        return
    raise ConfigurationInvalid(f"The webhook's address is {what}; nothing was sent.", hint=_HINT)

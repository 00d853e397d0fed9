"""The steps of a connection test that reach the host, before a driver is used: its name and its port."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from connections.daemon_thread import in_daemon_thread
from connections.sdk.errors import ConnectionFailed, UrlInvalid
from connections.url import addresses

# seconds, for resolving the host name and for opening the port
TIMEOUT = 10.0


def resolve_host(host: str) -> list[str]:
    """Return the addresses of a host name. Raises ConnectionFailed, or UrlInvalid for addresses that are forbidden."""
    try:
        answers = in_daemon_thread(lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)).result(TIMEOUT)
    except TimeoutError:
        raise ConnectionFailed(
            f"The host name “{host}” could not be resolved within {TIMEOUT:.0f} s.",
            hint="Check the name in the URL, and this machine's name server.",
        ) from None
    except (socket.gaierror, UnicodeError) as error:
        raise ConnectionFailed(
            f"The host name “{host}” is unknown.",
            hint="Check its spelling in the URL, and that this machine can resolve names of that network.",
            detail=str(error),
        ) from None
    resolved = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    known = [address for text in resolved if (address := addresses.parsed(text))]
    if any(map(addresses.is_forbidden, known)):
        raise UrlInvalid(f"“{host}” is a link-local address or a metadata service.", hint="Name a database server.")
    return resolved


def open_port(host: str, port: int, candidates: Sequence[str]) -> None:
    """Open and close the port on the first address that accepts it. Raises ConnectionFailed if none does."""
    last: OSError | None = None
    for address in candidates:
        try:
            socket.create_connection((address, port), timeout=TIMEOUT).close()
            return
        except OSError as error:
            last = error
    refused = isinstance(last, ConnectionRefusedError)
    why = "nothing listens on it" if refused else "it does not answer"
    raise ConnectionFailed(
        f"Port {port} of {host} cannot be reached: {why}.",
        hint="Is the server running, and is this its port?" if refused else "Does a firewall block it?",
        detail=str(last or ""),
    )

"""The health check of a manifest: one HTTP request to the connection's own host, without following redirects."""

from __future__ import annotations

import http.client
import re

from connections.sdk.errors import AuthenticationFailed, ConnectionFailed
from connections.sdk.manifest import Manifest
from connections.sdk.parameters import ConnectionParameters
from connections.url.parts import ConnectionUrl

_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")


def is_declared(manifest: Manifest, url: ConnectionUrl) -> bool:
    """Return whether the kind declares a health check, and the URL is that of an HTTP interface."""
    return manifest.health_check is not None and url.form in ("http", "https")


def request(manifest: Manifest, url: ConnectionUrl, parameters: ConnectionParameters) -> str:
    """Make the request and return a message. Raises ConnectionFailed or AuthenticationFailed."""
    check = manifest.health_check
    assert check is not None
    opened = http.client.HTTPSConnection if url.form == "https" else http.client.HTTPConnection
    connection = opened(url.host, url.port_or_default, timeout=check.timeout)
    try:
        credentials = _credentials(manifest, parameters)
        headers = {name: _PLACEHOLDER.sub(lambda match: credentials[match[1]], text) for name, text in check.headers}
        connection.request(check.method, url.path + check.endpoint, headers=headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ConnectionFailed(
            f"The health check of {url.host} failed: {type(error).__name__}.",
            hint="Is the service running, and is this its URL?",
            detail=str(error),
        ) from None
    finally:
        connection.close()
    if status == check.expect_status:
        return f"{check.endpoint} answers {status}."
    if status in (401, 403):
        raise AuthenticationFailed(
            f"{url.host} refused the credentials: {check.endpoint} answers {status}.", hint="Check the token."
        )
    raise ConnectionFailed(
        f"{check.endpoint} of {url.host} answers {status}, not {check.expect_status}.",
        hint="Check the path in the URL, and that the service works.",
    )


def _credentials(manifest: Manifest, parameters: ConnectionParameters) -> dict[str, str]:
    """Return the values of the declared credentials: the first is the password, the others are options."""
    return {
        env_var.name: parameters.options.get(env_var.name.lower(), "") if position else parameters.password
        for position, env_var in enumerate(manifest.env_vars)
    }

"""The webhook channel: a signed JSON POST, with the same delivery id for every attempt.

X-Pipekit-Signature is `sha256=` and the hexadecimal HMAC-SHA256 of timestamp, a dot and the body, keyed with the
shared secret. No redirect is followed, so that events reach only the configured address.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import ssl
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx2
from django.conf import settings as conf

from connections.sdk.errors import ConfigurationInvalid, ConnectionFailed, ExternalFailed
from connections.secrets.redaction import redactor
from connections.secrets.references import store
from runs.models.setting import Setting, web_address
from runs.notify import channels
from runs.notify.channels import addresses
from runs.notify.messages import line

_ANSWER_BYTES = 500
_HINT = "Check the setting webhook_url and the receiver's log."


def post(event: Mapping[str, Any], settings: Setting, *, delivery_id: str) -> None:
    """Deliver one event; any 2xx response is success. Raise a PipekitError otherwise."""
    url, secret = _url(settings), _secret(settings)
    # a webhook older than the rule against private addresses may have one
    private = conf.PIPEKIT.webhook_private or settings.webhook_unrestricted
    body = json.dumps({"delivery": delivery_id, **event}, ensure_ascii=False).encode()
    timestamp = str(int(time.time()))
    headers = {
        "Accept-Encoding": "identity",
        "Connection": "close",
        "Content-Type": "application/json",
        "User-Agent": "Pipekit",
        "X-Pipekit-Delivery": delivery_id,
        "X-Pipekit-Timestamp": timestamp,
        "X-Pipekit-Signature": f"sha256={signature(secret, timestamp, body)}",
    }
    try:
        target = httpx2.URL(url)
        with asyncio.Runner(loop_factory=addresses.EventLoop) as runner:
            status, answer = runner.run(_send(target, headers, body, private=private))
    except TimeoutError:
        raise ConnectionFailed(
            f"The webhook is too slow: The server took longer than {channels.TOTAL_TIMEOUT:g} s.", hint=_HINT
        ) from None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        # the cause is dropped: it may contain the URL, and that a token
        raise ConnectionFailed(f"The webhook cannot be reached: {_cause(error)}", hint=_HINT) from None
    if not 200 <= status < 300:
        raise ExternalFailed(f"The webhook answered {status}. {answer}".strip(), hint=_HINT)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the hexadecimal HMAC-SHA256 of ``timestamp.body``."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _url(settings: Setting) -> str:
    url = settings.webhook_url
    if not url:
        raise ConfigurationInvalid("No webhook is configured.", hint="Set webhook_url.")
    if not url.startswith("$"):
        return url
    try:
        return web_address(store().resolve(url))
    except ValueError as error:
        raise ConfigurationInvalid(f"The secret {url} is not an address.", hint=str(error)) from None


def _secret(settings: Setting) -> str:
    reference = settings.webhook_secret
    if not reference:
        raise ConfigurationInvalid(
            "The webhook has no secret to sign with.",
            hint="Set webhook_secret to a reference such as $HOOK_SECRET, and: manage.py secrets set HOOK_SECRET.",
        )
    return store().resolve(reference)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    """Where to connect: to one of the host's addresses, all of them checked, or to a proxy."""

    addresses: Sequence[str] = ()
    proxy: str | None = None


async def _route(url: httpx2.URL, *, private: bool) -> _Route:
    """Return the route to the host of a URL. Raise ConfigurationInvalid if one of its addresses is not allowed."""
    netloc = url.netloc.decode("ascii")
    proxy = urllib.request.getproxies().get(url.scheme)
    if not proxy or urllib.request.proxy_bypass(netloc):
        return _Route(addresses=await _resolve(url, private=private))
    # the proxy resolves the name itself; the check here is made as far as it is possible, also in time
    with suppress(OSError, ValueError):
        async with asyncio.timeout(channels.TOTAL_TIMEOUT / 3):
            await _resolve(url, private=private)
    return _Route(proxy=proxy if "://" in proxy else f"http://{proxy}")


async def _resolve(url: httpx2.URL, *, private: bool) -> Sequence[str]:
    port = url.port or (443 if url.scheme == "https" else 80)
    return await addresses.resolve(url.host, port, private=private)


async def _send(url: httpx2.URL, headers: Mapping[str, str], body: bytes, *, private: bool) -> tuple[int, str]:
    """Return the status and the start of the answer. Raise TimeoutError after TOTAL_TIMEOUT."""
    async with asyncio.timeout(channels.TOTAL_TIMEOUT):
        return await _send_on(await _route(url, private=private), url, headers, body)


async def _send_on(route: _Route, url: httpx2.URL, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
    async with httpx2.AsyncClient(
        verify=ssl.create_default_context(),
        timeout=channels.IDLE_TIMEOUT,
        proxy=route.proxy,
        # neither another proxy nor logins from .netrc
        trust_env=False,
        follow_redirects=False,
    ) as client:
        if route.proxy:
            return await _request(client, client.build_request("POST", url, headers=headers, content=body))
        error: Exception = OSError("the host has no address")
        for address in route.addresses:
            try:
                return await _request(client, _pinned(client, url, address, headers, body))
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as failed:
                error = failed
        raise error


def _pinned(
    client: httpx2.AsyncClient, url: httpx2.URL, address: str, headers: Mapping[str, str], body: bytes
) -> httpx2.Request:
    """Return a request to an address that was checked, without another resolution of the name.

    The header Host and the certificate's name stay those of the URL.
    """
    return client.build_request(
        "POST",
        url.copy_with(host=address),
        headers={**headers, "Host": url.netloc.decode("ascii")},
        content=body,
        extensions={"sni_hostname": url.raw_host.decode("ascii")},
    )


async def _request(client: httpx2.AsyncClient, request: httpx2.Request) -> tuple[int, str]:
    connections: list[Any] = []

    async def trace(event: str, info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            connections.append(info["return_value"])

    request.extensions["trace"] = trace
    try:
        response = await client.send(request, stream=True)
        answer = b""
        if not response.is_success:
            async for chunk in response.aiter_raw():
                answer += chunk
                if len(answer) >= _ANSWER_BYTES:
                    break
        return response.status_code, line(answer[:_ANSWER_BYTES].decode("utf-8", "replace"), 200)
    finally:
        # httpcore2 leaves a connection open whose TLS handshake is cancelled
        for connection in connections:
            await connection.aclose()


def _cause(error: BaseException) -> str:
    """Return the text of the error at the bottom, which has the system's own words."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return line(redactor().text(str(error) or type(error).__name__), 200)

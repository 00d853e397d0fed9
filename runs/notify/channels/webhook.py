"""The webhook channel: a signed JSON POST, with the same delivery id for every attempt.

X-Pipekit-Signature is `sha256=` and the hexadecimal HMAC-SHA256 of timestamp, a dot and the body, keyed with the
shared secret.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings

from connections.sdk.errors import ConfigurationInvalid, ConnectionFailed, ExternalFailed
from connections.secrets.redaction import redactor
from connections.secrets.references import store
from runs.notify.channels import addresses as reachable
from runs.notify.channels.deadline import Deadline
from runs.notify.destinations import webhook_address
from runs.notify.messages import line
from runs.settings import setting, web_address

_SECONDS = 10
_ANSWER_BYTES = 500


def post(event: Mapping[str, Any], *, delivery_id: str) -> None:
    """Deliver one event; any 2xx response is success. Raise a PipekitError otherwise."""
    url, secret = _url(), _secret()
    body = json.dumps({"delivery": delivery_id, **event}, ensure_ascii=False).encode()
    timestamp = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Pipekit",
        "X-Pipekit-Delivery": delivery_id,
        "X-Pipekit-Timestamp": timestamp,
        "X-Pipekit-Signature": f"sha256={signature(secret, timestamp, body)}",
    }
    _send(urllib.request.Request(url, data=body, headers=headers, method="POST"))


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the hexadecimal HMAC-SHA256 of ``timestamp.body``."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _url() -> str:
    url = webhook_address()
    if not url:
        raise ConfigurationInvalid("No webhook is configured.", hint="Set webhook_url.")
    if not url.startswith("$"):
        return url
    try:
        return web_address(store().resolve(url))
    except ValueError as error:
        raise ConfigurationInvalid(f"The secret {url} is not an address.", hint=str(error)) from None


def _secret() -> str:
    reference = setting("webhook_secret")
    if not reference:
        raise ConfigurationInvalid(
            "The webhook has no secret to sign with.",
            hint="Set webhook_secret to a reference such as $HOOK_SECRET, and: manage.py secrets set HOOK_SECRET.",
        )
    return store().resolve(reference)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect, so that events reach only the configured address; a redirect counts as a failure."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class _Watched(HTTPConnection):
    """A connection whose deadline covers it from the first byte."""

    deadline: Deadline
    # the addresses of the host that were checked; empty for a proxy, which the administrator chose
    addresses: Sequence[str] = ()

    def connect(self) -> None:
        if self.addresses:
            self._create_connection = reachable.connect_to_any(list(self.addresses))
        super().connect()
        self.deadline.watch(self.sock)


class _WatchedOverTls(HTTPSConnection, _Watched):
    """The same over TLS; HTTPSConnection opens its plain connection through the class above."""


class _Plain(urllib.request.HTTPHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_connection_factory(self._deadline, _Watched, req), req)


class _OverTls(urllib.request.HTTPSHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_connection_factory(self._deadline, _WatchedOverTls, req), req)


def _connection_factory(deadline: Deadline, kind: type[_Watched], request: urllib.request.Request) -> Any:
    resolved: Sequence[str] = ()
    if _is_proxied(request):
        # the proxy resolves the name itself; the check here is made as far as it is possible
        with suppress(OSError, ValueError):
            _resolve(request)
    else:
        resolved = _resolve(request)

    def create(*args: Any, **kwargs: Any) -> _Watched:
        connection = kind(*args, **kwargs)
        connection.deadline, connection.addresses = deadline, resolved
        return connection

    return create


def _is_proxied(request: urllib.request.Request) -> bool:
    return request.has_proxy() or bool(getattr(request, "_tunnel_host", None))


def _resolve(request: urllib.request.Request) -> Sequence[str]:
    """Return the addresses of a request's host. Raise ConfigurationInvalid if one of them is not allowed."""
    parts = urlsplit(request.full_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return reachable.resolve(parts.hostname or "", port, private=_may_be_private())


def _may_be_private() -> bool:
    """Return whether private addresses are allowed: by config.yaml, or for a webhook older than that rule."""
    if settings.PIPEKIT.webhook_private:
        return True
    stored = apps.get_model("runs", "Setting").objects.filter(key="webhook_url")
    return bool(stored.values_list("unrestricted", flat=True).first())


def _send(request: urllib.request.Request) -> None:
    hint = "Check the setting webhook_url and the receiver's log."
    try:
        with Deadline() as deadline:
            _post(request, deadline, hint)
    except ConnectionFailed as error:
        raise ConnectionFailed(f"The webhook is too slow: {error.message}", hint=hint) from None
    except (OSError, HTTPException, ValueError) as error:
        # the cause is dropped: urllib repeats the address, which may contain a token
        raise ConnectionFailed(f"The webhook cannot be reached: {_cause(error)}", hint=hint) from None


def _post(request: urllib.request.Request, deadline: Deadline, hint: str) -> None:
    opener = urllib.request.build_opener(_NoRedirect, _Plain(deadline), _OverTls(deadline))
    try:
        with opener.open(request, timeout=_SECONDS):
            # truncated headers cannot be distinguished from complete ones
            deadline.check()
    except urllib.error.HTTPError as error:
        with error:
            answer = line(error.read(_ANSWER_BYTES).decode("utf-8", "replace"), 200)
        raise ExternalFailed(f"The webhook answered {error.code}. {answer}".strip(), hint=hint) from None


def _cause(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return line(redactor().text(str(reason) or type(reason).__name__), 200)

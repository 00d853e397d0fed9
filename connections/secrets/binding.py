"""What a connection's secrets are bound to: the references and the place they were entered for. No Django.

A secret goes to the kind, host, port and user that it was entered for, under the same protection on the way. When any
of these changes, the reference has to be entered again; until then it does not resolve.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from connections import options
from connections.sdk.errors import PipekitError, SecretMissing
from connections.url import jdbc

# properties that decide who can read or receive what is sent
_PROTECTION = re.compile(r"(?i).*(ssl|tls|encrypt|trust|secure|cert|authentication|publickey).*")
# options that lead elsewhere, or let a password go in clear text
_OPTIONS = ("allow_cleartext_password", "embedded")

Binding = dict[str, Any]


def binding(*, kind: str, url: str, username: str, password: str, given: Mapping[str, Any]) -> Binding:
    """Return references and target of a connection, as JSON; empty when it has no reference or no valid URL."""
    try:
        names = references(kind=kind, password=password, given=given)
        if not names:
            return {}
        return {"references": names, "target": target(kind=kind, url=url, username=username, given=given)}
    except PipekitError:
        return {}


def references(*, kind: str, password: str, given: Mapping[str, Any]) -> list[str]:
    """Return every reference of a connection, sorted: its password's and its secret options'."""
    found = {password}

    def keep(reference: str) -> str:
        found.add(str(reference))
        return ""

    options.resolved(given or {}, kind, keep)
    return sorted(found - {""})


def target(*, kind: str, url: str, username: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return where secrets go, as JSON. Raises UrlInvalid."""
    parts = jdbc.parse(url, kind)
    found: dict[str, Any] = {
        "kind": kind,
        "system": parts.kind,
        "form": parts.form,
        "host": parts.host.lower().rstrip("."),
        "port": parts.port_or_default,
        "instance": parts.instance,
        "path": parts.path,
        "username": username or parts.username,
        "protection": {name: value for name, value in parts.properties.items() if _PROTECTION.fullmatch(name)},
        **{name: given[name] for name in _OPTIONS if (given or {}).get(name)},
    }
    return {name: value for name, value in found.items() if value}


def is_covered(now: Mapping[str, Any], stored: Mapping[str, Any] | None) -> bool:
    """Whether every reference was entered for this very target."""
    bound = stored or {}
    names = set(now.get("references", ()))
    return not names or (bound.get("target") == now["target"] and names <= set(bound.get("references", ())))


def described(bound: Mapping[str, Any]) -> str:
    """Return a binding's target in words: ``postgresql at db.example.com:5432 as etl``."""
    found = bound.get("target") or {}
    place = found.get("host") or found.get("path") or "no host"
    port = f":{found['port']}" if found.get("port") else ""
    user = f" as {found['username']}" if found.get("username") else ""
    return f"{found.get('kind', '')} at {place}{port}{user}"


def check(stored: Mapping[str, Any] | None, now: Mapping[str, Any], *, name: str, wanted: list[str]) -> None:
    """Raise SecretMissing when a reference that is about to be resolved is bound to another place, or to none."""
    if not wanted:
        return
    bound = stored or {}
    unbound = [reference for reference in wanted if reference not in bound.get("references", ())]
    if not unbound and bound.get("target") == now.get("target") and now:
        return
    reference = (unbound or wanted)[0]
    where = "it is bound to no host" if unbound else f"it is bound to {described(bound)}"
    raise SecretMissing(
        f"{name}: The secret {reference.removeprefix('$')} is not bound to this host; {where}.",
        hint="Enter the reference again on the connection's page (it takes the permission “Can write references to"
        " secrets”), or import the connection with its password.",
        detail=f"The connection leads to {described(now)}." if now else "",
    )

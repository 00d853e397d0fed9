"""Binds a connection's secrets to the target they were entered for. No Django.

A secret is sent only to the kind, host, port and user that it was entered for, with the same transport protection. If
any of these changes, the reference has to be entered again; until then it does not resolve.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connections import options, registry
from connections.sdk.errors import PipekitError, SecretMissing
from connections.url.parse import parse_url

Binding = dict[str, Any]


def binding(*, kind: str, url: str, username: str, password: str, given: Mapping[str, Any]) -> Binding:
    """Return a connection's references and target, in JSON types; empty if it has no reference or no valid URL.

    ``given`` are the connection's options.
    """
    try:
        names = references(kind=kind, password=password, given=given)
        if not names:
            return {}
        return {"references": names, "target": target(kind=kind, url=url, username=username, given=given)}
    except PipekitError:
        return {}


def references(*, kind: str, password: str, given: Mapping[str, Any]) -> list[str]:
    """Return the references in a connection's password and secret options, sorted."""
    names = {password}

    def collect(reference: str) -> str:
        names.add(str(reference))
        return ""

    options.resolve_secrets(given or {}, kind, collect)
    return sorted(names - {""})


def target(*, kind: str, url: str, username: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the place secrets are sent to, in JSON types. Raises UrlInvalid."""
    parts = parse_url(url, kind)
    rules = registry.manifest(parts.kind).url
    targets = {one.name for one in rules.properties.values() if one.target} if rules else set()
    values: dict[str, Any] = {
        "kind": kind,
        "system": parts.kind,
        "form": parts.form,
        "host": parts.canonical_host,
        "port": parts.port_or_default,
        "instance": parts.instance,
        "path": parts.path,
        "username": username or parts.username,
        "protection": {name: value for name, value in parts.properties.items() if name in targets},
        **{name: given[name] for name in options.target_names(kind) if (given or {}).get(name)},
    }
    return {name: value for name, value in values.items() if value}


def is_covered(now: Mapping[str, Any], stored: Mapping[str, Any] | None) -> bool:
    """Return whether the stored binding has every current reference, for the current target."""
    bound = stored or {}
    names = set(now.get("references", ()))
    return not names or (bound.get("target") == now["target"] and names <= set(bound.get("references", ())))


def described(bound: Mapping[str, Any]) -> str:
    """Return a binding's target for messages: ``postgresql at db.example.com:5432 as etl``."""
    place = bound.get("target") or {}
    host = place.get("host") or place.get("path") or "no host"
    port = f":{place['port']}" if place.get("port") else ""
    user = f" as {place['username']}" if place.get("username") else ""
    return f"{place.get('kind', '')} at {host}{port}{user}"


def check(stored: Mapping[str, Any] | None, now: Mapping[str, Any], *, name: str, references: list[str]) -> None:
    """Raise SecretMissing if any of the references is bound to another target than ``now``, or to none."""
    if not references:
        return
    bound = stored or {}
    unbound = [reference for reference in references if reference not in bound.get("references", ())]
    if not unbound and bound.get("target") == now.get("target") and now:
        return
    reference = (unbound or references)[0]
    where = "it is bound to no host" if unbound else f"it is bound to {described(bound)}"
    raise SecretMissing(
        f"{name}: The secret {reference.removeprefix('$')} is not bound to this host; {where}.",
        hint="Enter the reference again on the connection's page (this requires the permission “Can write references"
        " to secrets”), or import the connection with its password.",
        detail=f"The connection's target is {described(now)}." if now else "",
    )

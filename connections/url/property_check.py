"""Validates the properties of connection URLs. Each kind's manifest lists those that are allowed; others are refused.

They set TLS, timeouts, names and formats. None makes a driver run SQL, load a class, read or write arbitrary files, or
open another connection, be it on a server's request: those can be used for attacks.
"""

from __future__ import annotations

import re

from connections import registry
from connections.sdk.errors import UrlInvalid
from connections.sdk.manifest import UrlProperty
from connections.url import parts

# patterns of the values, by the types that manifests name
PATTERNS = {
    "boolean": r"(?i:true|false|yes|no|0|1)",
    "integer": r"-?[0-9]{1,9}",
    "word": r"[A-Za-z0-9_.$-]{1,128}",
    "list": r"[A-Za-z0-9_.$#*, -]{1,512}",
    "text": r"[A-Za-z0-9_., :/-]{0,128}",
    "zone": r"[A-Za-z0-9_/:-]{1,64}",
    "path": r"/(?:[A-Za-z0-9_@ -][A-Za-z0-9_.@ -]*/)*[A-Za-z0-9_@-][A-Za-z0-9_.@ -]*",
    "mark": r"[A-Za-z/.,: -]{1,5}",
}
_CREDENTIAL = re.compile(r"(?i).*(pass|pwd|secret|token|credential|api_?key).*|user.*|uid")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.$ -]{0,63}")


def checked_properties(pairs: list[tuple[str, str]], kind: str) -> dict[str, str]:
    """Return the properties sorted, in the driver's spelling. Raises UrlInvalid with the name of a refused one."""
    for name, _ in pairs:
        if _CREDENTIAL.fullmatch(name):
            raise UrlInvalid(
                "The URL contains a user or a password.", hint="Leave them out: use the fields username and password."
            )
    properties: dict[str, str] = {}
    for name, value in pairs:
        spelled = _check(name, value, kind)
        if spelled in properties:
            raise UrlInvalid(f"The URL contains the property “{spelled}” twice.", hint="Write it once.")
        properties[spelled] = value
    return dict(sorted(properties.items()))


def _check(name: str, value: str, kind: str) -> str:
    """Return the driver's spelling of the name. Raises UrlInvalid if name or value is not allowed."""
    rules = registry.manifest(kind).url
    allowed = rules.properties if rules else {}
    if name.lower() not in allowed:
        shown = f"“{name}”" if _NAME.fullmatch(name) else "with special characters in its name"
        names = ", ".join(sorted((one.name for one in allowed.values()), key=str.lower)) or "none"
        raise UrlInvalid(f"The property {shown} is not allowed in the URL.", hint=f"Allowed for {kind}: {names}.")
    one = allowed[name.lower()]
    if not _is_valid(one, value):
        expected = (
            f"one of {', '.join(sorted(one.choices))}" if one.choices else "a plain value without special characters"
        )
        raise UrlInvalid(f"The value of the property “{one.name}” is not valid.", hint=f"Expected {expected}.")
    if one.type == "path":
        parts.path(value)
    return one.name


def _is_valid(one: UrlProperty, value: str) -> bool:
    return bool(re.fullmatch(PATTERNS[one.type], value)) and (not one.choices or value in one.choices)

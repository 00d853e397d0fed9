"""Parses and validates connection URLs, in JDBC form or a system's own, and rebuilds them from the validated parts.

Drivers get only rebuilt URLs. `parse_url` raises UrlInvalid with the reason and the expected form.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import cast

from connections import registry
from connections.sdk.errors import UrlInvalid
from connections.sdk.manifest import UrlRules
from connections.url import syntaxes
from connections.url.parts import ConnectionUrl

__all__ = ["ConnectionUrl", "check", "database_of", "kind_of", "parse_url", "rebuild"]

# a scheme, which no path begins with; SQLAlchemy appends the driver after a plus sign
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9.-]*(\+[A-Za-z0-9_.-]+)?://")
# the kind of JDBC URLs of systems without a kind of their own
_GENERIC = "jdbc"
_HTTP_PREFIXES = ("https:", "http:")


def kind_of(url: str) -> str:
    """Return the kind of a URL or a file's path, ``jdbc`` for JDBC URLs of systems without a kind of their own.

    Looks only at prefix and suffix; the URL may still be invalid. Raises UrlInvalid if neither is known.
    """
    prefix, kind = _prefix(url)
    if prefix:
        return kind
    for kind, rules in _all_rules().items():
        if url.lower().endswith(rules.suffixes):
            return kind
    raise UrlInvalid(
        "The URL does not begin with the kind of system.",
        hint="Write it as jdbc:postgresql://host:5432/database.",
    )


def parse_url(url: str, kind: str = "") -> ConnectionUrl:
    """Return the validated parts of a URL. Raises UrlInvalid, or ConfigurationInvalid for a kind that does not exist.

    With ``kind``, a plain path is accepted as well, and a URL of another kind is refused.
    """
    if kind:
        registry.manifest(kind)
    if re.search(r"[\x00-\x1f\x7f]", url) or url != url.strip() or not 0 < len(url) <= 2048:
        raise UrlInvalid(
            "The URL is empty, too long, or has line breaks or spaces around it.", hint=_expected(kind or "postgresql")
        )
    prefix, actual = _prefix(url, kind)
    actual = actual or kind or kind_of(url)
    if not prefix and (scheme := _SCHEME.match(url)):
        raise _unknown_scheme(scheme[1], actual)
    rules = _rules(actual)
    if not prefix and rules and not rules.plain_paths:
        raise UrlInvalid("The URL does not begin with the kind of system.", hint=_expected(actual))
    if kind and kind != actual and not (kind == _GENERIC and prefix.startswith("jdbc:")):
        raise UrlInvalid(f"The URL is for {actual}; the connection's driver is {kind}.", hint=_expected(kind))
    if rules is None:
        raise UrlInvalid(f"There is no URL form for “{actual}”.", hint=f"There is for {', '.join(_all_rules())}.")
    try:
        parsed = _read(url[len(prefix) :], prefix, kind=actual, rules=rules)
    except UrlInvalid as error:
        raise UrlInvalid(error.message, hint=f"{error.hint} {_expected(actual)}".strip()) from None
    return parsed if parsed.default_port else replace(parsed, default_port=rules.default_port)


def _prefix(url: str, kind: str = "") -> tuple[str, str]:
    """Return the prefix of the URL and the kind that it belongs to; empty if it has no known prefix.

    With a kind, its own prefixes are tried first, so that the other kinds' manifests are rarely needed.
    """
    if ":" not in url:
        return "", ""
    own = _rules(kind) if kind != _GENERIC else None
    for prefix in (_HTTP_PREFIXES if own.form == "https" else own.prefixes) if own else ():
        if url[: len(prefix)].lower() == prefix:
            return prefix, kind
    owners = {prefix: kind for kind, rules in reversed(_all_rules().items()) for prefix in rules.prefixes}
    for prefix in sorted(owners, key=len, reverse=True):
        if url[: len(prefix)].lower() == prefix:
            return prefix, owners[prefix]
    return "", ""


def _rules(kind: str) -> UrlRules | None:
    return registry.manifest(kind).url if registry.is_installed(kind) else None


def _all_rules() -> dict[str, UrlRules]:
    return {kind: manifest.url for kind, manifest in registry.manifests().items() if manifest.url}


def _read(rest: str, prefix: str, *, kind: str, rules: UrlRules) -> ConnectionUrl:
    if rules.form == "network":
        return syntaxes.read_network(rest, kind, rules.separator)
    if rules.form == "file":
        return syntaxes.read_file(rest, kind, rules.separator)
    if rules.form == "https":
        return syntaxes.read_https(rest, kind, prefix.rstrip(":"))
    return cast(ConnectionUrl, registry.url_syntax(kind).read(rest, prefix))


def _unknown_scheme(driver: str | None, kind: str) -> UrlInvalid:
    if driver:
        return UrlInvalid(
            "The URL's scheme names a Python driver, as in SQLAlchemy's URLs.",
            hint=f"Leave the + and the driver out. {_expected(kind)}",
        )
    return UrlInvalid("The URL's scheme is unknown.", hint=_expected(kind))


def database_of(url: ConnectionUrl) -> str:
    """Return the database that a URL leads to: the one it names, or else the kind's default; empty if it has none."""
    rules = _rules(url.kind)
    if url.database or rules is None:
        return url.database or url.path
    named = (url.properties[name] for name in rules.database_properties if name in url.properties)
    return next(named, "") or url.path or rules.default_database


def check(url: str, kind: str) -> None:
    """Raise UrlInvalid if ``url`` is not a valid URL of ``kind``."""
    parse_url(url, kind)


def rebuild(url: ConnectionUrl) -> str:
    """Return the canonical URL of these parts: in JDBC form, or the system's own for what JDBC has none (sockets)."""
    rules = _rules(url.kind)
    if rules is None:
        raise UrlInvalid(f"There is no URL form for “{url.kind}”.")
    if rules.form == "network":
        opening = "?" if rules.separator == "&" else ";"
        return syntaxes.write_network(url, rules.prefixes[0].rstrip(":"), opening=opening, separator=rules.separator)
    if rules.form == "file":
        return syntaxes.write_file(url, rules.prefixes[0].rstrip(":"), rules.separator)
    if rules.form == "https":
        return syntaxes.write_https(url)
    return cast(str, registry.url_syntax(url.kind).write(url))


def _expected(kind: str) -> str:
    rules = _rules(kind)
    return f"Expected: {rules.expected}." if rules else ""

"""The section of connections in a configuration file. Passwords are references; secrets are never exported.

Importing takes shell access, so a reference given in the file counts as entered for the target the row has then.
"""

from __future__ import annotations

from connections import registry
from connections.models import Connection
from connections.sdk.errors import PipekitError
from connections.secrets import binding
from pipekit_site.configfile.sections import Section


def _bind_secrets(row: Connection, given: frozenset[str]) -> str:
    """Decide whether saving binds the references; return an error if kept references would get another target."""
    has_secret = {"password": bool(row.password), "options": _has_secret_option(row)}
    missing = [key for key, has in has_secret.items() if has and key not in given]
    row.keeps_binding = row.pk is not None and bool(missing)
    if not row.keeps_binding or binding.is_covered(row.binding(), row.secret_binding):
        return ""
    stored = Connection.objects.with_driver().get(pk=row.pk)
    if row.binding().get("target") == stored.binding().get("target"):
        # the file does not change the target; that the reference is unbound is reported when it is used
        return ""
    return (
        f"its kind, host, port or user is not the one that its secret was entered for; give {' and '.join(missing)}"
        " too, to allow the secret to be sent there."
    )


def _has_secret_option(row: Connection) -> bool:
    return bool(set(row.references()) - {row.password})


def _is_stale(row: Connection) -> bool:
    return not row.keeps_binding and not binding.is_covered(row.binding(), row.secret_binding)


def _why_unusable(kind: str) -> str:
    """Return why a kind that a package declares cannot be used; empty for any other."""
    if registry.is_installed(kind):
        try:
            registry.manifest(kind)
        except PipekitError as error:
            return f"{error.message} {error.hint}".strip()
    return ""


CONNECTIONS = Section(
    name="connections",
    model=Connection,
    fields=("driver", "jdbc_url", "username", "password", "supports_deletes", "options", "max_parallel"),
    shown_by={"driver": "kind"},
    why_missing={"driver": _why_unusable},
    check_keys=_bind_secrets,
    is_stale=_is_stale,
    related=("driver",),
)

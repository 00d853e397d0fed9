"""Connections in a configuration file. Their passwords are references; nothing else of a secret is stored at all.

Whoever imports has a shell on the machine; a reference that stands in the file counts as entered for where it leads.
"""

from __future__ import annotations

from connections.models import Connection
from connections.secrets import binding
from pipekit_site.configfile.sections import Section


def _entered(row: Connection, given: frozenset[str]) -> str:
    """Note whether the file enters the references; return what is wrong when they would follow a row elsewhere."""
    holds = {"password": bool(row.password), "options": _has_more(row)}
    missing = [key for key, holding in holds.items() if holding and key not in given]
    row.keeps_binding = row.pk is not None and bool(missing)
    if not row.keeps_binding or binding.is_covered(row.binding(), row.secret_binding):
        return ""
    stored = Connection.objects.with_driver().get(pk=row.pk)
    if row.binding().get("target") == stored.binding().get("target"):
        # the file does not lead it elsewhere; that it does not resolve is said when it is used
        return ""
    return (
        f"it leads to another kind, host, port or user than its secret was entered for; give {' and '.join(missing)}"
        " too, to let the secret go there."
    )


def _has_more(row: Connection) -> bool:
    return bool(set(row.references()) - {row.password})


def _is_stale(row: Connection) -> bool:
    return not row.keeps_binding and not binding.is_covered(row.binding(), row.secret_binding)


CONNECTIONS = Section(
    name="connections",
    model=Connection,
    fields=("driver", "jdbc_url", "username", "password", "supports_deletes", "options", "max_parallel"),
    shown_by={"driver": "kind"},
    entered=_entered,
    is_stale=_is_stale,
)

"""Extends the admin pages of connections with the modules that read from them and write to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from unfold.decorators import display

from connections.admin.connection import ConnectionAdmin
from connections.models import Connection
from pipekit_site.admin_ui import html


class UsedConnectionAdmin(ConnectionAdmin):
    list_display = [*ConnectionAdmin.list_display, "module_count"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connection]:
        # subqueries: joining both relations would multiply the counts
        counts = {name: _count(f"{name}_modules") for name in ("source", "dest")}
        return super().get_queryset(request).annotate(reads=counts["source"], writes=counts["dest"])

    def related(self, row: Any) -> Iterable[tuple[str, str]]:
        yield from super().related(row)
        if row.reads:
            yield f"Modules that read from it: {row.reads}", _modules("source", row)
        if row.writes:
            yield f"Modules that write to it: {row.writes}", _modules("dest", row)

    @display(description="Modules", ordering="reads")
    def module_count(self, connection: Any) -> str:
        counts = {"source": (connection.reads, "from"), "dest": (connection.writes, "into")}
        return (
            html.links((_modules(side, connection), f"{n} {word}") for side, (n, word) in counts.items() if n) or "none"
        )


def _count(related: str) -> Coalesce:
    rows = Connection.objects.filter(pk=OuterRef("pk")).order_by().annotate(n=Count(related)).values("n")
    return Coalesce(Subquery(rows), 0, output_field=IntegerField())


def _modules(side: str, connection: Connection) -> str:
    return html.list_of("modules.module", **{f"{side}_connection__id__exact": connection.pk})


def register() -> None:
    """Replace the admin page that the app connections registered, which knows nothing of modules."""
    admin.site.unregister(Connection)
    admin.site.register(Connection, UsedConnectionAdmin)

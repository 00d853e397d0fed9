"""Extends the admin pages of modules and groups with actions, the last run and links to all runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from unfold.decorators import display

from connections.sdk.formatting import readable_size
from modules.admin.module import GroupAdmin, ModuleAdmin
from modules.models import Group, Module
from pipekit_site.admin_ui import html
from pipekit_site.admin_ui.model_admin import BaseAdmin, Button
from runs.admin import formatting
from runs.admin.actions import MayRun, dry_run, dry_run_groups, full_refresh, restore, run_groups, run_now
from runs.admin.verification import VERIFY, verify
from runs.models import GroupRun, Run

_RUN = Button(action="run_now", label="Run now", icon="play_arrow", title="Start a run now", primary=True)
_DRY = Button(action="dry_run", label="Dry run", icon="science", title="Build the SQL, move nothing")
_FULL = Button(
    action="full_refresh",
    label="Full refresh",
    icon="restart_alt",
    title="Read everything again; readers see the old rows until it is published",
    ask="Read the whole source again and replace the destination table?",
)
_RESTORE = Button(
    action="restore",
    label="Restore previous table",
    icon="undo",
    title="Put back the table that the last run exchanged",
    ask="Put back the table that the last run exchanged? It is refused if anything wrote to the new one since.",
)
_RUN_GROUP = Button(action="run_groups", label="Run now", icon="play_arrow", title="Start all members", primary=True)
_DRY_GROUP = Button(
    action="dry_run_groups", label="Dry run", icon="science", title="Build every member's SQL, move nothing"
)


class _WithLastRun(MayRun, BaseAdmin):
    """Adds the last run of each row to a list, by one index lookup per row."""

    run_model: type[Run] | type[GroupRun]
    run_field: str

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        last = self.run_model.objects.filter(**{self.run_field: OuterRef("pk")}).order_by("-pk")
        fields = ("pk", "status", "created_at", "dry_run")
        return (
            super()
            .get_queryset(request)
            .annotate(**{f"last_{name}": Subquery(last.values(name)[:1]) for name in fields})
        )

    @display(description="Last run", ordering="last_pk")
    def last_run(self, row: Any) -> str:
        if row.last_pk is None:
            return html.render("runs/never.html")
        run = self.run_model(pk=row.last_pk, status=row.last_status, dry_run=row.last_dry_run)
        mark = formatting.badge(run, url=html.page_of(run))
        return html.with_note(mark, html.since(row.last_created_at))


class RunnableModuleAdmin(_WithLastRun, ModuleAdmin):
    run_model, run_field = Run, "module"
    list_display = ["name", "flow", "strategy", "last_run", "in_groups", "enabled"]
    actions = [run_now, dry_run, full_refresh, restore, verify, *ModuleAdmin.actions]
    buttons = [_RUN, _DRY, _FULL, _RESTORE, VERIFY, *ModuleAdmin.buttons]
    row_button = Button(action="run_now", label="Run", icon="play_arrow", title=_RUN.title)

    def is_offered(self, button: Button, row: Any) -> bool:
        if button.action == "restore":
            return _kept_bytes(row) is not None
        return super().is_offered(button, row)

    def related(self, row: Any) -> Iterable[tuple[str, str]]:
        if row.last_pk is not None:
            yield f"Last run: {row.last_status}, {html.since(row.last_created_at)}", _page(Run, row.last_pk)
        if (size := _kept_bytes(row)) is not None:
            yield f"Previous table kept: {readable_size(size)}", _page(Run, row.last_pk)
        yield "All runs of this module", html.list_of("runs.run", module__id__exact=row.pk)
        yield "Verifications of this module", html.list_of("runs.verification", module__id__exact=row.pk)
        yield from super().related(row)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the warnings of the module's last run, which are often fixed on this page."""
        if request.method == "GET" and (module := kwargs.get("obj")):
            last = Run.objects.filter(module=module, dry_run=False).order_by("-pk").values_list("warnings", flat=True)
            for warning in last.first() or []:
                messages.warning(request, f"The last run warned: {warning}")
        return super().render_change_form(request, context, *args, **kwargs)


class RunnableGroupAdmin(_WithLastRun, GroupAdmin):
    run_model, run_field = GroupRun, "group"
    list_display = ["name", "member_count", "last_run", "on_failure", "max_parallel"]
    actions = [run_groups, dry_run_groups]
    buttons = [_RUN_GROUP, _DRY_GROUP]
    row_button = Button(action="run_groups", label="Run", icon="play_arrow", title=_RUN_GROUP.title)

    def related(self, row: Any) -> Iterable[tuple[str, str]]:
        if row.last_pk is not None:
            yield f"Last run: {row.last_status}, {html.since(row.last_created_at)}", _page(GroupRun, row.last_pk)
        yield "All runs of this group", html.list_of("runs.grouprun", group__id__exact=row.pk)
        yield from super().related(row)


def _kept_bytes(module: Module) -> int | None:
    """Return the size of the table that the module's last run has exchanged and kept, None if it kept none."""
    last = Run.objects.filter(module=module, dry_run=False).order_by("-pk").values_list("kept_bytes", "restore").first()
    return last[0] if last and not last[1] else None


def _page(model: type[Model], pk: int) -> str:
    return html.page_of(model(pk=pk))


def register() -> None:
    """Replace the admin pages that the app modules registered, which know nothing of runs."""
    for model, page in ((Module, RunnableModuleAdmin), (Group, RunnableGroupAdmin)):
        admin.site.unregister(model)
        admin.site.register(model, page)

"""The history of modules in the admin: each change with old and new values, and an action to restore a version."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from modules import history
from modules.models import ModuleHistory
from pipekit_site.admin_ui import html
from pipekit_site.admin_ui.date_filter import TimestampRangeFilter
from pipekit_site.admin_ui.model_admin import FROM_PAGE, BaseAdmin, Button, ReadOnlyMixin


class ModuleHistoryAdmin(ReadOnlyMixin, BaseAdmin):
    list_display = ["what", "when", "actor", "changes"]
    list_filter = [("module", AutocompleteSelectFilter), ("changed_at", TimestampRangeFilter)]
    list_fullwidth = True
    list_per_page = 25
    paginator = InfinitePaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    search_fields = ["module_name", "actor"]
    search_help_text = "Module or who changed it"
    actions = ["restore"]
    buttons = [
        Button(
            action="restore",
            label="Restore this version",
            icon="history",
            title="Restore the module as it was in this version, watermarks and hooks included",
            ask="Restore the module as it was in this version? This is recorded as a change and can be undone.",
            primary=True,
        )
    ]
    row_button = Button(action="restore", label="Restore", icon="history", title=buttons[0].title, ask=buttons[0].ask)
    empty_text = (
        "No module was changed yet. Every change of a module is recorded here, with its author, time and old values."
    )
    fields = ["what", "when", "actor", "changes"]

    def has_restore_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("modules.change_module")

    def is_offered(self, button: Button, row: ModuleHistory) -> bool:
        return row.module_id is not None

    def related(self, row: ModuleHistory) -> Iterable[tuple[str, str]]:
        if row.module is not None:
            yield f"Module {row.module}", html.page_of(row.module)
            yield "All versions of this module", html.list_of("modules.modulehistory", module__id__exact=row.module.pk)

    @display(description="Module", ordering="module_name")
    def what(self, version: ModuleHistory) -> str:
        return f"{version.module_name}, version {version.version}"

    @display(description="When", ordering="changed_at")
    def when(self, version: ModuleHistory) -> str:
        return html.timestamp(version.changed_at, ago=True)

    @display(description="What changed")
    def changes(self, version: ModuleHistory) -> str:
        rows = [(_label(name), _change(values["old"], values["new"])) for name, values in version.diff.items()]
        named = version.diff.get("name", {"old": "", "new": ""})
        # folded, because every field is listed
        event = "created" if named["old"] is None else "deleted" if named["new"] is None else ""
        return html.render("modules/changes.html", event=event, changes=rows)

    @admin.action(description="Restore this version", permissions=["restore"])
    def restore(self, request: HttpRequest, versions: QuerySet[ModuleHistory]) -> HttpResponse | None:
        if versions.count() != 1:
            self.message_user(request, "Select exactly one version to restore.", messages.WARNING)
            return None
        version = versions.get()
        try:
            module = history.restore(version, actor=request.user.get_username(), may=request.user.has_perm)
        except (ValidationError, ObjectDoesNotExist, PermissionDenied) as error:
            text = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
            self.message_user(request, f"{version} cannot be restored: {text}", messages.ERROR)
            return None
        self.message_user(request, f"{version} is restored.", messages.SUCCESS)
        return HttpResponseRedirect(html.page_of(module)) if FROM_PAGE in request.POST else None


def _label(field: str) -> str:
    return field.replace("_", " ")


def _change(old: Any, new: Any) -> str:
    """Return a short value as old → new, a long one as a unified diff."""
    before, after = _text(old), _text(new)
    if "\n" not in before + after and len(before) + len(after) < 100:
        return after if old is None else f"{before} → {after}"
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=2, lineterm="")
    return html.code("\n".join(list(lines)[2:]))


def _text(value: Any) -> str:
    if value is None or value == "":
        return "(empty)"
    if isinstance(value, bool):
        return "on" if value else "off"
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)

"""The history of modules in the admin: who changed what, old against new, and the way back."""

from __future__ import annotations

import difflib
import json
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import display

from connections.widgets import code
from modules import history
from modules.models import ModuleHistory


class ModuleHistoryAdmin(ModelAdmin):
    list_display = ["what", "changed_at", "actor", "changes"]
    list_filter = [("module", RelatedDropdownFilter)]
    list_filter_submit = True
    list_fullwidth = True
    list_per_page = 25
    search_fields = ["module_name", "actor"]
    actions = ["restore"]
    fields = ["module_name", "version", "changed_at", "actor", "changes"]
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_restore_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("modules.change_module")

    @display(description="Module", ordering="module_name")
    def what(self, version: ModuleHistory) -> str:
        return f"{version.module_name}, version {version.version}"

    @display(description="What changed")
    def changes(self, version: ModuleHistory) -> SafeString:
        rows = [(name, _change(values["old"], values["new"])) for name, values in version.diff.items()]
        if all(values["old"] is None for values in version.diff.values()):
            return format_html("<details><summary>created</summary>{}</details>", _listed(rows))
        return _listed(rows)

    @admin.action(description="Restore the selected version", permissions=["restore"])
    def restore(self, request: HttpRequest, versions: QuerySet[ModuleHistory]) -> None:
        if versions.count() != 1:
            self.message_user(request, "Select exactly one version to restore.", messages.WARNING)
            return
        version = versions.get()
        try:
            history.restore(version, actor=request.user.get_username())
        except (ValidationError, ObjectDoesNotExist) as error:
            said = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
            self.message_user(request, f"{version} cannot be restored: {said}", messages.ERROR)
            return
        self.message_user(request, f"{version} is restored.", messages.SUCCESS)


def _listed(rows: list[tuple[str, SafeString | str]]) -> SafeString:
    return format_html_join("", '<div class="pk-change"><b>{}</b> {}</div>', rows)


def _change(old: Any, new: Any) -> SafeString | str:
    """Return a short value as old → new, a long one line by line."""
    before, after = _text(old), _text(new)
    if "\n" not in before + after and len(before) + len(after) < 100:
        return after if old is None else f"{before} → {after}"
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=2, lineterm="")
    return code("\n".join(list(lines)[2:]))


def _text(value: Any) -> str:
    if value is None or value == "":
        return "(empty)"
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)

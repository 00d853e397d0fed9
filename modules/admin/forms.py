"""Forms of modules, watermarks and hooks. A query is validated against the watermarks submitted with it."""

from __future__ import annotations

import re

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget

from modules.models import Hook, Module, Watermark
from pipekit_site.admin_ui.form_fields import JsonWidget, SqlWidget

_WATERMARK = re.compile(r"watermarks-(\d+)-name")


class ModuleForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Module
        fields = "__all__"  # noqa: DJ007 - the admin's fieldsets say which
        widgets = {
            "source_query": SqlWidget({"rows": 12}),
            "key_sync_query": SqlWidget({"rows": 4}),
            "columns": JsonWidget({"rows": 4}),
            "notes": UnfoldAdminTextareaWidget({"rows": 3}),
        }
        help_texts = {
            "merge_strategy": "Columns of the destination that the query does not fill keep their values "
            "only with upsert and append."
        }

    def _post_clean(self) -> None:
        if "watermarks-TOTAL_FORMS" in self.data:
            self.instance.watermark_names = self._names_on_page()
        super()._post_clean()  # type: ignore[misc]

    def _names_on_page(self) -> list[str]:
        rows = {match[1]: self.data[key].strip() for key in self.data if (match := _WATERMARK.fullmatch(key))}
        return [name for row, name in rows.items() if name and f"watermarks-{row}-DELETE" not in self.data]


class WatermarkForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Watermark
        fields = ["name", "connection", "resolver_sql", "default_value"]
        widgets = {"resolver_sql": SqlWidget({"rows": 2})}


class HookForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Hook
        fields = ["run_order", "run_on", "sql", "connection", "on_error"]
        widgets = {"sql": SqlWidget({"rows": 2})}

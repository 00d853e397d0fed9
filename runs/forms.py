"""The setting's form: a value of its key, as JSON."""

from __future__ import annotations

from django import forms

from connections.widgets import JsonWidget
from runs.models import Setting


class SettingForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Setting
        fields = ["key", "value"]
        widgets = {"value": JsonWidget({"rows": 3})}

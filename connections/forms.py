"""The connection's form: the password field takes a reference and never repeats anything else."""

from __future__ import annotations

from django import forms

from connections.models import Connection
from connections.widgets import JsonWidget, ReferenceWidget


class ConnectionForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Connection
        fields = "__all__"  # noqa: DJ007 - the admin's fieldsets say which
        widgets = {"password": ReferenceWidget, "options": JsonWidget({"rows": 4})}

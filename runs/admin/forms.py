"""The form of the settings: typed fields, and the permission for what decides where secrets are sent."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.utils.html import escape
from unfold.widgets import UnfoldAdminTextInputWidget

from connections.admin.forms import ReferenceWidget
from runs.models import Setting
from runs.models.setting import HEARTBEATS_PER_LEASE, names

# settings that decide how the mail server gets its password; its host and port are in config.yaml
_GUARDS = frozenset({"smtp_security", "smtp_username"})
_DEFAULTS = Setting()
_ADDRESSES = Setting._meta.get_field("notification_addresses")


class AddressesField(forms.CharField):
    """E-mail addresses, typed with commas between them; a list in Python."""

    widget = UnfoldAdminTextInputWidget

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [part.strip() for part in (value or "").split(",") if part.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(initial != self.to_python(data))


class SettingForm(forms.ModelForm):  # type: ignore[type-arg]
    """Checks permissions too; ``may_use_secrets`` is whether the user may write references to secrets."""

    may_use_secrets = False
    notification_addresses = AddressesField(
        label=_ADDRESSES.verbose_name, help_text=_ADDRESSES.help_text, required=False
    )

    class Meta:
        model = Setting
        fields = "__all__"  # noqa: DJ007 - the admin's fieldsets say which
        widgets = {
            **dict.fromkeys(("site_url", "webhook_url", "smtp_username"), UnfoldAdminTextInputWidget),
            **dict.fromkeys(("webhook_secret", "smtp_password"), ReferenceWidget),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.help_text = f"{field.help_text} ({name}; default: {shown(getattr(_DEFAULTS, name))})"
            if name in self.instance.invalid:
                stored = self.initial[name] = self.instance.invalid[name]
                # it may be a secret where a reference is expected
                text = "" if isinstance(field.widget, ReferenceWidget) else f" {escape(json.dumps(stored))}"
                field.help_text += f" The stored value{text} is not valid, and what needs it fails."

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        stored = Setting.objects.first() or Setting()
        for name in set(cleaned) & set(names()):
            value = cleaned[name]
            if self.may_use_secrets or value == getattr(stored, name):
                continue
            if isinstance(value, str) and value.startswith("$"):
                self.add_error(
                    name, "Writing a reference to a secret takes the permission “Can write references to secrets”."
                )
            elif name in _GUARDS and stored.smtp_password:
                self.add_error(
                    name,
                    "It decides how the password of smtp_password is sent, so changing it takes the permission “Can"
                    " write references to secrets”.",
                )
        if {"heartbeat_seconds", "lease_seconds"} & set(self.changed_data):
            self._check_lease(cleaned)
        return cleaned

    def _check_lease(self, cleaned: dict[str, Any]) -> None:
        heartbeat, lease = (cleaned.get(name) for name in ("heartbeat_seconds", "lease_seconds"))
        if heartbeat and lease and lease < HEARTBEATS_PER_LEASE * heartbeat:
            self.add_error(
                "lease_seconds",
                f"lease_seconds must be at least twice heartbeat_seconds, here {HEARTBEATS_PER_LEASE * heartbeat}:"
                " else runs that are alive are considered dead between two heartbeats.",
            )

    def save(self, commit: bool = True) -> Any:
        # the form has valid values for all of its fields now
        kept = self.instance.invalid.items()
        self.instance.invalid = {name: value for name, value in kept if name not in self.cleaned_data}
        return super().save(commit)


def shown(value: Any) -> str:
    """Return a value in the form in which it is entered."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if value in (None, "", []):
        return "none"
    return value if isinstance(value, str) else json.dumps(value)

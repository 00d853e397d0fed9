"""The form of a setting: its value is entered as plain text or as JSON."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextInputWidget

from runs import settings
from runs.models import Setting

# settings that decide how the mail server gets its password; its host and port are in config.yaml
_GUARDS = frozenset({"smtp_security", "smtp_username"})


class SettingValueWidget(UnfoldAdminTextInputWidget):
    """Shows lists separated by commas and booleans as on or off."""

    def format_value(self, value: Any) -> str | None:
        try:
            parsed = json.loads(value)
        except (TypeError, ValueError):
            return None if value is None else str(value)
        if isinstance(parsed, list):
            return ", ".join(map(str, parsed))
        return ("on" if parsed else "off") if isinstance(parsed, bool) else str(parsed)


class SettingForm(forms.ModelForm):  # type: ignore[type-arg]
    """Checks permissions too; ``may_use_secrets`` is whether the user may write references to secrets."""

    may_use_secrets = False
    value = forms.CharField(
        required=False,
        widget=SettingValueWidget,
        help_text="A number such as 0.4, a text, on or off; e-mail addresses with commas between them.",
    )

    class Meta:
        model = Setting
        fields = ["key", "value"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["value"] = json.dumps(self.instance.value)

    def clean_value(self) -> Any:
        key = self.instance.key or self.cleaned_data.get("key") or ""
        value = _parse(self.cleaned_data["value"].strip(), settings.KEYS.get(key))
        is_reference = isinstance(value, str) and value.startswith("$")
        if is_reference and value != self.instance.value and not self.may_use_secrets:
            raise forms.ValidationError(
                "Writing a reference to a secret takes the permission “Can write references to secrets”."
            )
        if value != self.instance.value and not self.may_use_secrets and guards_secret(key):
            raise forms.ValidationError(
                "It decides how the password of smtp_password is sent, so changing it takes the permission “Can write"
                " references to secrets”."
            )
        return value


def guards_secret(key: str) -> bool:
    """Return whether the setting decides how a stored password is sent to the mail server."""
    return key in _GUARDS and bool(settings.setting("smtp_password"))


def _parse(text: str, key: settings.Key | None) -> Any:
    """Return the value that the text means for this key; the model validates it."""
    if key and isinstance(key.default, bool) and text.lower() in ("on", "off"):
        return text.lower() == "on"
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if key and isinstance(key.default, list) and not isinstance(value, list):
        return [part.strip() for part in text.split(",") if part.strip()]
    # a text setting keeps a text that looks like a number
    return text if key and isinstance(key.default, str) and not isinstance(value, str) else value

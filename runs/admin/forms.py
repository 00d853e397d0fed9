"""The setting's form: a value as people write it, or as JSON."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextInputWidget

from runs import settings
from runs.models import Setting

# of the login at the mail server, whose host and port are config.yaml's
_GUARDS = frozenset({"smtp_security", "smtp_username"})


class SettingValueWidget(UnfoldAdminTextInputWidget):
    """A list is shown and taken with commas, a switch as on or off, everything else as it is."""

    def format_value(self, value: Any) -> str | None:
        try:
            found = json.loads(value)
        except (TypeError, ValueError):
            return None if value is None else str(value)
        if isinstance(found, list):
            return ", ".join(map(str, found))
        return ("on" if found else "off") if isinstance(found, bool) else str(found)


class SettingForm(forms.ModelForm):  # type: ignore[type-arg]
    """``may_use_secrets`` is the user's right to write references to secrets."""

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
        found = _read(self.cleaned_data["value"].strip(), settings.KEYS.get(key))
        is_reference = isinstance(found, str) and found.startswith("$")
        if is_reference and found != self.instance.value and not self.may_use_secrets:
            raise forms.ValidationError(
                "Writing a reference to a secret takes the permission “Can write references to secrets”."
            )
        if found != self.instance.value and not self.may_use_secrets and guards_secret(key):
            raise forms.ValidationError(
                "It decides how the password of smtp_password is sent, so changing it takes the permission “Can write"
                " references to secrets”."
            )
        return found


def guards_secret(key: str) -> bool:
    """Say whether a setting decides how, or as whom, the mail server gets a password that is set."""
    return key in _GUARDS and bool(settings.setting("smtp_password"))


def _read(text: str, key: settings.Key | None) -> Any:
    """Return what was meant; whether the key takes it is the model's to say."""
    if key and isinstance(key.default, bool) and text.lower() in ("on", "off"):
        return text.lower() == "on"
    try:
        found = json.loads(text)
    except ValueError:
        found = text
    if key and isinstance(key.default, list) and not isinstance(found, list):
        return [part.strip() for part in text.split(",") if part.strip()]
    # a text that looks like a number is a text all the same
    return text if key and isinstance(key.default, str) and not isinstance(found, str) else found

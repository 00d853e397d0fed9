"""The connection form, and the widget of references to secrets.

A secret is sent only to a target for which a permitted user has entered its reference.
"""

from __future__ import annotations

import re
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextInputWidget

from connections.models import Connection
from connections.sdk.parameters import REFERENCE
from connections.secrets import binding
from pipekit_site.admin_ui.form_fields import JsonWidget

PERMISSION = "connections.use_secret"
NOT_PERMITTED = (
    "Writing a reference to a secret, or changing where one is sent (kind, host, port, user, TLS), takes the permission"
    " “Can write references to secrets”. Ask a user who has it, or leave the password empty."
)
URL_HELP = (
    "Without user name and password, such as jdbc:postgresql://host:5432/dw, on a server's socket"
    " postgresql:///dw?host=/run/postgresql, or jdbc:sqlite:/data/erp.db. The guide Kinds of systems lists all forms."
)


class ReferenceWidget(UnfoldAdminTextInputWidget):
    """An input that shows only a `$NAME`, so that a password typed by mistake is not sent back to the browser."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"autocomplete": "off", "placeholder": "$NAME", **(attrs or {})})

    def format_value(self, value: Any) -> str | None:
        return str(value) if re.fullmatch(REFERENCE, str(value or "")) else None


class ConnectionForm(forms.ModelForm):  # type: ignore[type-arg]
    """A connection's form. ``may_use_secrets`` is the user's permission, set by ``for_user`` for each request."""

    may_use_secrets = False
    confirm_secret = forms.CharField(
        label="Confirm password reference",
        required=False,
        widget=ReferenceWidget,
        help_text="Needed only if you change the kind, host, port, user or TLS: the secret is then sent to another"
        " target. Enter its reference again to confirm that.",
    )

    class Meta:
        model = Connection
        fields = "__all__"  # noqa: DJ007 - the admin's fieldsets say which
        help_texts = {"jdbc_url": URL_HELP}
        widgets = {"password": ReferenceWidget, "options": JsonWidget({"rows": 4})}

    def _post_clean(self) -> None:
        stored = Connection.objects.with_driver().filter(pk=self.instance.pk).first() if self.instance.pk else None
        super()._post_clean()  # type: ignore[misc]
        if not self.errors:
            self._check_secrets(stored)

    def _check_secrets(self, stored: Connection | None) -> None:
        now = self.instance.binding()
        if binding.is_covered(now, stored.secret_binding if stored else None):
            return
        if not self.may_use_secrets:
            self.add_error("password" if "password" in self.fields else None, NOT_PERMITTED)
            return
        # references that the form was filled with have not been entered by the user
        unchanged = set(now["references"]) & set(stored.references() if stored else ())
        missing = sorted(unchanged - set(self.cleaned_data.get("confirm_secret", "").split()))
        if missing:
            bound = binding.described(stored.secret_binding or {}) if stored and stored.secret_binding else ""
            was = f" It was entered for {bound}." if bound else ""
            self.add_error(
                "confirm_secret" if "confirm_secret" in self.fields else None,
                f"The secret would be sent to {binding.described(now)}.{was} Enter {' '.join(missing)} here to"
                " confirm that.",
            )


def for_user(form: Any, *, may_use_secrets: bool) -> Any:
    """Return a subclass of the form with the user's permission."""
    return type(form.__name__, (form,), {"may_use_secrets": may_use_secrets})

"""The connection's form: a secret goes only where somebody who may use secrets has entered its reference for."""

from __future__ import annotations

from typing import Any

from django import forms

from connections.models import Connection
from connections.secrets import binding
from pipekit_site.admin_ui.form_fields import JsonWidget, ReferenceWidget

PERMISSION = "connections.use_secret"
NOT_PERMITTED = (
    "Writing a reference to a secret, or changing where one is sent (kind, host, port, user, TLS), takes the permission"
    " “Can write references to secrets”. Ask somebody who has it, or leave the password empty."
)


class ConnectionForm(forms.ModelForm):  # type: ignore[type-arg]
    """``may_use_secrets`` is the user's right; the admin makes a subclass for each request."""

    may_use_secrets = False
    confirm_secret = forms.CharField(
        label="Password reference, again",
        required=False,
        widget=ReferenceWidget,
        help_text="Leave it empty unless you change the kind, host, port, user or TLS: the secret then goes elsewhere,"
        " and entering its reference here once more says that this is right.",
    )

    class Meta:
        model = Connection
        fields = "__all__"  # noqa: DJ007 - the admin's fieldsets say which
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
        # what stood in the form before was not entered, it was left there
        left = set(now["references"]) & set(stored.references() if stored else ())
        missing = sorted(left - set(self.cleaned_data.get("confirm_secret", "").split()))
        if missing:
            bound = binding.described(stored.secret_binding or {}) if stored and stored.secret_binding else ""
            was = f" It was entered for {bound}." if bound else ""
            self.add_error(
                "confirm_secret" if "confirm_secret" in self.fields else None,
                f"The secret would be sent to {binding.described(now)}.{was} Enter {' '.join(missing)} here if"
                " that is right.",
            )


def for_user(form: Any, *, may_use_secrets: bool) -> Any:
    """Return the form with a user's right."""
    return type(form.__name__, (form,), {"may_use_secrets": may_use_secrets})

"""The page on which users change their own password: the old one is checked behind the throttle of the login."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.forms import AdminOwnPasswordChangeForm
from unfold.sites import UnfoldAdminSite

from pipekit_site.logins import throttle
from pipekit_site.logins.backend import turns

# in the place of an address, for who has somebody's session may come from many; one for each user, whom nobody else
# can lock out
_PLACE = "password change {}"


class ThrottledPasswordChangeForm(AdminOwnPasswordChangeForm):  # type: ignore[misc]
    """Raises TooManyAttempts, which `middleware` answers, when the old password was wrong too often."""

    def clean_old_password(self) -> str:
        with turns.one():
            try:
                attempt = throttle.begin(self.user.get_username(), _PLACE.format(self.user.pk))
            except throttle.TooManyAttempts as error:
                raise throttle.TooManyWrongPasswords(error.seconds) from None
            found: str = super().clean_old_password()
        throttle.succeed(attempt)
        return found


class AdminSite(UnfoldAdminSite):  # type: ignore[misc]
    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        # as Unfold does it, which names its own form
        options: dict[str, Any] = {
            "form_class": ThrottledPasswordChangeForm,
            "success_url": reverse(f"{self.name}:password_change_done", current_app=self.name),
            "extra_context": {**self.each_context(request), **(extra_context or {})},
        }
        if self.password_change_template is not None:
            options["template_name"] = self.password_change_template
        request.current_app = self.name
        return cast(HttpResponse, PasswordChangeView.as_view(**options)(request))

"""The password change page; wrong old passwords are throttled as failed logins are."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.forms import AdminOwnPasswordChangeForm
from unfold.sites import UnfoldAdminSite

from pipekit_site.logins import throttle
from pipekit_site.logins.backend import hashing_queue

# Counted by user instead of by address: whoever has stolen a session may use many addresses, and no other user can
# cause the limit.
_ADDRESS = "password change {}"


class ThrottledPasswordChangeForm(AdminOwnPasswordChangeForm):  # type: ignore[misc]
    """Raises TooManyWrongPasswords, for which the middleware returns a response, after too many attempts."""

    def clean_old_password(self) -> str:
        with hashing_queue.turn():
            try:
                attempt = throttle.begin(self.user.get_username(), _ADDRESS.format(self.user.pk))
            except throttle.TooManyAttempts as error:
                raise throttle.TooManyWrongPasswords(error.seconds) from None
            old_password: str = super().clean_old_password()
        throttle.succeed(attempt)
        return old_password


class AdminSite(UnfoldAdminSite):  # type: ignore[misc]
    """Unfold's admin site with a throttled password change."""

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        # Unfold's method with another form, which it does not let one configure
        options: dict[str, Any] = {
            "form_class": ThrottledPasswordChangeForm,
            "success_url": reverse(f"{self.name}:password_change_done", current_app=self.name),
            "extra_context": {**self.each_context(request), **(extra_context or {})},
        }
        if self.password_change_template is not None:
            options["template_name"] = self.password_change_template
        request.current_app = self.name
        return cast(HttpResponse, PasswordChangeView.as_view(**options)(request))

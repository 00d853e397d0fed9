"""App configurations of the admin and Unfold that import admin modules with the URLs instead of at every start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks


class AdminConfig(SimpleAdminConfig):
    """The admin without autodiscovery, which `pipekit_site.urls` does: most commands do not serve the admin."""

    # created lazily
    default_site = "pipekit_site.logins.password_change.AdminSite"

    def ready(self) -> None:
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(_check_admin, checks.Tags.admin)


class UnfoldConfig(AppConfig):
    """Unfold's templates and static files. Its own configuration would create the admin site at every start."""

    name = "unfold"


def _check_admin(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Run the admin's checks, after importing all admin modules."""
    from django.contrib import admin

    admin.autodiscover()
    messages: list[checks.CheckMessage] = check_admin_app(app_configs, **kwargs)
    return messages

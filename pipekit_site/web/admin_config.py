"""The admin as an app whose pages are imported by the URLs, not at every start: most commands serve none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks


class AdminConfig(SimpleAdminConfig):
    # made when it is first asked for its URLs
    default_site = "pipekit_site.logins.password_change.AdminSite"

    def ready(self) -> None:
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(_check_pages, checks.Tags.admin)


class UnfoldConfig(AppConfig):
    """Unfold's templates and files; its own configuration makes the admin's site at every start."""

    name = "unfold"


def _check_pages(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Check every page of the admin, also where no URL has been looked at."""
    from django.contrib import admin

    admin.autodiscover()
    found: list[checks.CheckMessage] = check_admin_app(app_configs, **kwargs)
    return found

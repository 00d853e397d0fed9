"""The Django app `pipekit_site`: registers system checks, sets secrets file and protected paths."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings

from connections.secrets import references


class PipekitSiteConfig(AppConfig):
    name = "pipekit_site"
    verbose_name = "Pipekit"

    def ready(self) -> None:
        from pipekit_site import (
            protected_paths,
            system_checks,  # noqa: F401 - registers the system checks
        )

        config = settings.PIPEKIT
        protected_paths.configure(config)
        references.configure(config.secrets_file, environment=config.secret_environment)

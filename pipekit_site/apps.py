"""The site as an app: registers its start-up checks and says where the secrets are and what is protected."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings

from connections import secrets


class PipekitSiteConfig(AppConfig):
    name = "pipekit_site"
    verbose_name = "Pipekit"

    def ready(self) -> None:
        from pipekit_site import (
            checks,  # noqa: F401 - registers itself
            protecting,
        )

        config = settings.PIPEKIT
        protecting.configure(config)
        secrets.configure(config.secrets_file, environment=config.secret_environment)

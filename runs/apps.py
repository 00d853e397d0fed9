"""The Django app `runs`."""

from __future__ import annotations

from django.apps import AppConfig


class RunsConfig(AppConfig):
    name = "runs"

    def ready(self) -> None:
        # its receivers queue notifications when runs end; it needs the models, which are loaded by now
        from runs import notify  # noqa: F401

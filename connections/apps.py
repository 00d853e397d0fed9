"""The Django app `connections`: creates and updates the drivers after a migration."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed_apps
from django.apps.registry import Apps
from django.db.models.signals import post_migrate


class ConnectionsConfig(AppConfig):
    name = "connections"

    def ready(self) -> None:
        post_migrate.connect(_synchronize_drivers, sender=self, dispatch_uid="connections.drivers")


def _synchronize_drivers(sender: ConnectionsConfig, using: str, apps: Apps = installed_apps, **kwargs: Any) -> None:
    """Create and update the drivers. ``apps`` are those of the state migrated to, which may be an older one."""
    try:
        fields = apps.get_model("connections", "Driver")._meta.get_fields()
    except LookupError:
        return
    if "declared" in {field.name for field in fields}:
        driver: Any = sender.get_model("Driver")
        driver.objects.using(using).synchronize()

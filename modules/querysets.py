"""QuerySets of modules and group members."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import apps
from django.db import models

if TYPE_CHECKING:
    from modules.models import GroupMember, Module  # noqa: F401 - named in the base class


class ModuleQuerySet(models.QuerySet["Module"]):
    def enabled(self) -> ModuleQuerySet:
        return self.filter(enabled=True)

    def with_connections(self) -> ModuleQuerySet:
        return self.select_related("source_connection__driver", "dest_connection__driver")

    def with_parts(self) -> ModuleQuerySet:
        """Load everything that a run needs, in three queries."""
        watermark, hook = (apps.get_model("modules", name) for name in ("Watermark", "Hook"))
        return self.with_connections().prefetch_related(
            models.Prefetch("watermarks", watermark.objects.select_related("connection__driver")),
            models.Prefetch("hooks", hook.objects.select_related("connection__driver")),
        )

    def touching(self, connection_id: int) -> ModuleQuerySet:
        """Return modules that use a connection, hooks and watermarks included."""
        return self.filter(
            models.Q(source_connection=connection_id)
            | models.Q(dest_connection=connection_id)
            | models.Q(watermarks__connection=connection_id)
            | models.Q(hooks__connection=connection_id)
        ).distinct()


class GroupMemberQuerySet(models.QuerySet["GroupMember"]):
    def runnable(self) -> GroupMemberQuerySet:
        return self.filter(module__enabled=True)

    def with_modules(self) -> GroupMemberQuerySet:
        return self.select_related("module", "group")

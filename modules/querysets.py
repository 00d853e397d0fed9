"""QuerySets of modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from modules.models import Module  # noqa: F401 - named in the base class


class ModuleQuerySet(models.QuerySet["Module"]):
    def enabled(self) -> ModuleQuerySet:
        return self.filter(enabled=True)

    def with_connections(self) -> ModuleQuerySet:
        return self.select_related("source_connection__driver", "dest_connection__driver")

"""Querysets of connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from connections.models import Connection  # noqa: F401 - named in the base class


class ConnectionQuerySet(models.QuerySet["Connection"]):
    def with_driver(self) -> ConnectionQuerySet:
        return self.select_related("driver")

    def untested(self) -> ConnectionQuerySet:
        return self.filter(last_tested_at=None)

    def failing(self) -> ConnectionQuerySet:
        """Return the connections whose last test failed."""
        return self.filter(last_test_ok=False)

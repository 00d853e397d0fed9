"""Querysets of connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from connections.models import Connection  # noqa: F401 - named in the base class


class ConnectionQuerySet(models.QuerySet["Connection"]):
    """Queries of connections."""

    def with_driver(self) -> ConnectionQuerySet:
        """Fetch the drivers with the connections, which most methods of a connection need."""
        return self.select_related("driver")

    def untested(self) -> ConnectionQuerySet:
        """Return the connections that have never been tested."""
        return self.filter(last_tested_at=None)

    def failing(self) -> ConnectionQuerySet:
        """Return the connections whose last test failed."""
        return self.filter(last_test_ok=False)

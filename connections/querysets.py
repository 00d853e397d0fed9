"""QuerySets of drivers and connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

from connections import registry
from connections.sdk.manifest import Manifest

if TYPE_CHECKING:
    from connections.models import Connection, Driver  # noqa: F401 - named in the base classes


class DriverQuerySet(models.QuerySet["Driver"]):
    """Queries of drivers."""

    def synchronize(self) -> None:
        """Create and update the rows of all installed kinds as their manifests declare them.

        A field that was edited is kept: it differs from what the manifest declared before. Rows of kinds that are not
        installed any more are left as they are, because connections may refer to them.
        """
        rows = {row.kind: row for row in self.all()}
        manifests = registry.manifests()
        new = [
            self.model(kind=kind, declared=_declared(manifest), **_declared(manifest))
            for kind, manifest in manifests.items()
            if kind not in rows
        ]
        if new:
            # another process may synchronize at the same time
            self.bulk_create(new, ignore_conflicts=True)
        for kind, manifest in manifests.items():
            if kind in rows and rows[kind].declared != _declared(manifest):
                _update(rows[kind], _declared(manifest))


def _declared(manifest: Manifest) -> dict[str, str]:
    return {
        "name": manifest.title,
        "url_template": manifest.url.template if manifest.url else "",
        "class_name": manifest.jdbc.class_name if manifest.jdbc else "",
        "maven": manifest.jdbc.maven if manifest.jdbc else "",
    }


def _update(row: Driver, declared: dict[str, str]) -> None:
    unedited = [field for field in declared if getattr(row, field) == row.declared.get(field, "")]
    for field in unedited:
        setattr(row, field, declared[field])
    row.declared = declared
    row.save(update_fields=[*unedited, "declared", "updated_at"])


class ConnectionQuerySet(models.QuerySet["Connection"]):
    """Queries of connections."""

    def with_driver(self) -> ConnectionQuerySet:
        """Fetch the drivers with the connections, which most methods of a connection need."""
        return self.select_related("driver")

    def failing(self) -> ConnectionQuerySet:
        """Return the connections whose last test failed."""
        return self.filter(last_test_ok=False)

"""Questions asked of many runs at once."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from django.apps import apps
from django.db import models
from django.db.models.functions import Coalesce

from runs.models import states

if TYPE_CHECKING:
    from runs.models import GroupRun, Run  # noqa: F401 - named in the base class


class RunQuerySet(models.QuerySet["Run"]):
    def active(self) -> RunQuerySet:
        """Those that hold their locks (dry runs among them hold none)."""
        return self.filter(status__in=states.ACTIVE)

    def final(self) -> RunQuerySet:
        return self.filter(status__in=states.TERMINAL)

    def failed(self) -> RunQuerySet:
        return self.filter(status__in=states.FAILED)

    def locking(self, module_id: int | None, dest_lock_key: str) -> RunQuerySet:
        """Those that stand in the way of a run of this module into this table."""
        return (
            self.active()
            .filter(dry_run=False)
            .filter(models.Q(module=module_id) | models.Q(dest_lock_key=dest_lock_key))
        )

    def newest_first(self) -> RunQuerySet:
        return self.order_by("-pk")

    def with_module(self) -> RunQuerySet:
        return self.select_related("module", "group_run__group")

    def without_texts(self) -> RunQuerySet:
        """For lists: leaves the long texts in the database."""
        return self.defer("source_query", "merge_sql", "warnings", "steps", "watermarks")


class GroupRunQuerySet(models.QuerySet["GroupRun"]):
    def active(self) -> GroupRunQuerySet:
        return self.filter(status__in=states.GROUP_ACTIVE)

    def newest_first(self) -> GroupRunQuerySet:
        return self.order_by("-pk")

    def with_outcomes(self) -> GroupRunQuerySet:
        """Add ``good_runs`` and ``failed_runs``: how many of its runs ended well, and how many did not."""
        return self.annotate(good_runs=_counted(states.GOOD), failed_runs=_counted(states.FAILED))


def _counted(statuses: Collection[str]) -> models.Expression:
    runs = apps.get_model("runs", "Run")._default_manager.filter(group_run=models.OuterRef("pk"), status__in=statuses)
    counted = runs.order_by().values("group_run").annotate(n=models.Count("pk")).values("n")
    return Coalesce(models.Subquery(counted), 0)

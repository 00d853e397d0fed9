"""QuerySets of runs and group runs."""

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
        """Return runs that have not ended; all but dry runs among them hold their locks."""
        return self.filter(status__in=states.ACTIVE)

    def final(self) -> RunQuerySet:
        return self.filter(status__in=states.FINAL)

    def locking(self, module_id: int | None, dest_lock_key: str) -> RunQuerySet:
        """Return the active runs that conflict with a run of this module into this table."""
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
        """Defer the large text and JSON fields, for lists."""
        return self.defer("source_query", "merge_sql", "warnings", "steps", "watermarks")


class GroupRunQuerySet(models.QuerySet["GroupRun"]):
    def active(self) -> GroupRunQuerySet:
        return self.filter(status__in=states.GROUP_ACTIVE)

    def newest_first(self) -> GroupRunQuerySet:
        return self.order_by("-pk")

    def with_outcomes(self) -> GroupRunQuerySet:
        """Annotate ``good_runs`` and ``failed_runs``, the numbers of its runs that succeeded and failed."""
        return self.annotate(good_runs=_count(states.SUCCESSFUL), failed_runs=_count(states.FAILED))


def _count(statuses: Collection[str]) -> models.Expression:
    runs = apps.get_model("runs", "Run")._default_manager.filter(group_run=models.OuterRef("pk"), status__in=statuses)
    counts = runs.order_by().values("group_run").annotate(n=models.Count("pk")).values("n")
    return Coalesce(models.Subquery(counts), 0)

"""Deletes old rows of the metadata in small batches with pauses, so that other writers are never blocked for long."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from typing import Any

from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from runs.models import GroupRun, Run, Verification, states
from runs.models.notification import Delivery, Notification
from runs.models.setting import current_settings
from runs.prune.result import Pruned

# target duration of a transaction in seconds; the pause after it, as a multiple of its duration and at least
_TARGET_SECONDS, _PAUSE_FACTOR, _MIN_PAUSE = 0.02, 3, 0.02
_FIRST_BATCH, _MIN_BATCH, _MAX_BATCH = 50, 10, 1000


def prune_runs(now: dt.datetime, dry_run: bool) -> Iterator[Pruned]:
    """Delete old runs."""
    yield Pruned(what="runs", count=delete(old_runs(now), dry_run=dry_run))


def prune_group_runs(now: dt.datetime, dry_run: bool) -> Iterator[Pruned]:
    """Delete old group runs all of whose runs are old, too."""
    kept = Run.objects.filter(group_run=OuterRef("pk")).exclude(pk__in=old_runs(now).values("pk"))
    old = GroupRun.objects.exclude(status__in=states.GROUP_ACTIVE).filter(finished_at__lt=limit(now))
    yield Pruned(what="group runs", count=delete(old.filter(~Exists(kept)), dry_run=dry_run))


def prune_notifications(now: dt.datetime, dry_run: bool) -> Iterator[Pruned]:
    """Delete old notifications, except each module's last one, which is needed to detect a recovery."""
    newer = Notification.objects.filter(module=OuterRef("module"), pk__gt=OuterRef("pk"))
    old = Notification.objects.exclude(status=Delivery.PENDING).filter(give_up_at__lt=limit(now))
    yield Pruned(what="notifications", count=delete(old.filter(Q(module=None) | Exists(newer)), dry_run=dry_run))


def prune_verifications(now: dt.datetime, dry_run: bool) -> Iterator[Pruned]:
    """Delete old verifications, except each module's last one and its last comparison.

    The last comparison is needed to report an equal result after a difference.
    """
    compared = ("equal", "different")
    newer = Verification.objects.filter(module=OuterRef("module"), pk__gt=OuterRef("pk"))
    replaced = Exists(newer.filter(status__in=compared)) | (Exists(newer) & ~Q(status__in=compared))
    old = Verification.objects.filter(finished_at__lt=limit(now)).filter(Q(module=None) | replaced)
    yield Pruned(what="verifications", count=delete(old, dry_run=dry_run))


def old_runs(now: dt.datetime) -> QuerySet[Run]:
    """Return finished runs past their retention, except the last run of each module."""
    newer = Run.objects.filter(module=OuterRef("module"), pk__gt=OuterRef("pk"))
    return Run.objects.final().filter(Q(module=None) | Exists(newer), finished_at__lt=limit(now))


def limit(now: dt.datetime) -> dt.datetime:
    """Return the time before which rows are old, by the setting run_retention_days."""
    return now - dt.timedelta(days=current_settings().run_retention_days)


def delete(rows: QuerySet[Any], *, dry_run: bool) -> int:
    """Delete the rows in short transactions, oldest first; return how many were deleted, or would be."""
    if dry_run:
        return rows.count()
    model: type[models.Model] = rows.model
    deleted, last, size = 0, 0, _FIRST_BATCH
    while pks := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:size]):
        started = time.monotonic()
        with transaction.atomic():
            model._default_manager.filter(pk__in=pks).delete()
        seconds = time.monotonic() - started
        time.sleep(max(seconds * _PAUSE_FACTOR, _MIN_PAUSE))
        deleted, last = deleted + len(pks), pks[-1]
        size = max(_MIN_BATCH, min(_MAX_BATCH, size * 2, int(size * _TARGET_SECONDS / max(seconds, 0.001))))
    return deleted

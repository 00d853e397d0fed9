"""Deletes old rows of the metadata, few at a time with a pause after each, so that whoever writes gets in between."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from typing import Any

from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from runs.models import GroupRun, Run, Verification, states
from runs.models.notification import Delivery, Notification
from runs.prune.result import Pruned
from runs.settings import setting

# seconds of a transaction that are aimed at; the pause after it, in times of its length and at least
_AIM, _PAUSE, _LEAST_PAUSE = 0.02, 3, 0.02
_FIRST, _LEAST, _MOST = 50, 10, 1000


def prune_runs(now: dt.datetime, dry_run: bool) -> Iterator[Pruned]:
    yield Pruned(what="runs", count=delete(old_runs(now), dry_run=dry_run))


def prune_group_runs(now: dt.datetime, dry_run: bool) -> Iterator[Pruned]:
    """Those without a run that stays."""
    staying = Run.objects.filter(group_run=OuterRef("pk")).exclude(pk__in=old_runs(now).values("pk"))
    old = GroupRun.objects.exclude(status__in=states.GROUP_ACTIVE).filter(finished_at__lt=limit(now))
    yield Pruned(what="group runs", count=delete(old.filter(~Exists(staying)), dry_run=dry_run))


def prune_notifications(now: dt.datetime, dry_run: bool) -> Iterator[Pruned]:
    """All but a module's last, by which a recovery is known."""
    newer = Notification.objects.filter(module=OuterRef("module"), pk__gt=OuterRef("pk"))
    old = Notification.objects.exclude(status=Delivery.PENDING).filter(give_up_at__lt=limit(now))
    yield Pruned(what="notifications", count=delete(old.filter(Q(module=None) | Exists(newer)), dry_run=dry_run))


def prune_verifications(now: dt.datetime, dry_run: bool) -> Iterator[Pruned]:
    """All but a module's last, and its last that compared: by that an equal result after a difference is known."""
    compared = ("equal", "different")
    newer = Verification.objects.filter(module=OuterRef("module"), pk__gt=OuterRef("pk"))
    replaced = Exists(newer.filter(status__in=compared)) | (Exists(newer) & ~Q(status__in=compared))
    old = Verification.objects.filter(finished_at__lt=limit(now)).filter(Q(module=None) | replaced)
    yield Pruned(what="verifications", count=delete(old, dry_run=dry_run))


def old_runs(now: dt.datetime) -> QuerySet[Run]:
    """Return finished runs past their time; a module's last one stays, however old it is."""
    newer = Run.objects.filter(module=OuterRef("module"), pk__gt=OuterRef("pk"))
    return Run.objects.final().filter(Q(module=None) | Exists(newer), finished_at__lt=limit(now))


def limit(now: dt.datetime) -> dt.datetime:
    return now - dt.timedelta(days=setting("run_retention_days"))


def delete(rows: QuerySet[Any], *, dry_run: bool) -> int:
    """Delete the rows in short transactions, oldest first; return how many went, or would."""
    if dry_run:
        return rows.count()
    model: type[models.Model] = rows.model
    deleted, last, size = 0, 0, _FIRST
    while pks := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:size]):
        began = time.monotonic()
        with transaction.atomic():
            model._default_manager.filter(pk__in=pks).delete()
        took = time.monotonic() - began
        time.sleep(max(took * _PAUSE, _LEAST_PAUSE))
        deleted, last = deleted + len(pks), pks[-1]
        size = max(_LEAST, min(_MOST, size * 2, int(size * _AIM / max(took, 0.001))))
    return deleted

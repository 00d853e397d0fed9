"""What of a run's end is worth telling: the first failure, every n-th in a row, and the first success after.

Never dry runs, never cancels that somebody asked for; runs by hand on a terminal only where the setting says so.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from runs.models import GroupRun, Run
from runs.models.notification import Notification, NotificationKind
from runs.models.states import GroupStatus, Status
from runs.notify.messages import line
from runs.notify.outbox import queue, wanted_channels
from runs.settings import setting

# a run that was stopped though nobody cancelled it: by the server, by the machine's shutdown
_STOPPED = models.Q(status=Status.CANCELLED, cancel_requested=False)
FAILED = models.Q(status__in=(Status.ERROR, Status.REFUSED)) | _STOPPED
# reported of a module, but not of its runs
_NOT_OF_RUNS = (
    NotificationKind.MISSED,
    NotificationKind.DIFFERENT,
    NotificationKind.EQUAL,
    NotificationKind.UNVERIFIED,
)
# of an error's texts, this much is told
_LENGTHS = {"code": 60, "message": 2000, "hint": 1000}
_log = logging.getLogger(__name__)


def on_finished(run: Run) -> None:
    """Queue what is to be told of a run that just ended. Call it in the transaction that ends the run.

    It only inserts rows. A failure of its own is logged and never keeps the run from ending.
    """
    try:
        with transaction.atomic():
            _tell(run)
    except Exception:
        _log.exception("What there is to tell of run %s could not be written into the outbox.", run.pk)


def on_group_failed(group_run: GroupRun) -> None:
    """The same for a group run that failed for a reason of its own, so that members may not have run at all."""
    try:
        with transaction.atomic():
            _tell_group(group_run)
    except Exception:
        _log.exception("What there is to tell of group run %s could not be written into the outbox.", group_run.pk)


def on_group_finished(group_run: GroupRun) -> None:
    """The same for a group run that went to its end: where it was told that it could not, it is told that it can."""
    try:
        with transaction.atomic():
            _tell_group_recovery(group_run)
    except Exception:
        _log.exception("What there is to tell of group run %s could not be written into the outbox.", group_run.pk)


def by_hand() -> models.Q:
    """Return what is true of runs that somebody watches on a terminal."""
    return models.Q(trigger="manual", group_run=None)


def _tell(run: Run) -> None:
    if run.dry_run or run.module is None:
        return
    if run.trigger == "manual" and run.group_run_id is None and not setting("notify_manual_runs"):
        return
    if not wanted_channels():
        return
    if run.status == Status.SUCCESS:
        _tell_recovery(run)
    elif Run.objects.filter(FAILED, pk=run.pk).exists():
        _tell_failure(run)


def _tell_failure(run: Run) -> None:
    assert run.module is not None
    last = _successes(run).values_list("pk", flat=True).first() or 0
    failures = _failures(run).filter(pk__gt=last)
    count = failures.count()
    told = Notification.objects.filter(
        module=run.module_id, kind__in=(NotificationKind.FAILURE, NotificationKind.REPEATED), run__gt=last
    )
    if not told.exists():
        kind = NotificationKind.FAILURE
    elif count % setting("notify_every") == 0:
        kind = NotificationKind.REPEATED
    else:
        return
    since = failures.order_by("pk").values_list("finished_at", flat=True).first()
    about = {**_about(run), "failures": count, "since": _iso(since), "error": _error(run)}
    queue(kind, event=f"run:{run.pk}", module=run.module, about=about, now=_end(run), run_id=run.pk)


def _tell_group(group_run: GroupRun) -> None:
    if group_run.dry_run or not wanted_channels():
        return
    over = GroupRun.objects.filter(group_name=group_run.group_name, dry_run=False, pk__lte=group_run.pk)
    last = (
        over.filter(error__isnull=True, finished_at__isnull=False).order_by("-pk").values_list("pk", flat=True).first()
        or 0
    )
    failures = over.filter(error__isnull=False, pk__gt=last).order_by("pk")
    count = failures.count()
    if count > 1 and count % setting("notify_every"):
        return
    first = failures.first()
    about = {
        **_about(group_run),
        "group": group_run.group_name,
        "failures": count,
        "since": _iso(first.finished_at if first else None),
        "error": _error(group_run),
    }
    kind = NotificationKind.REPEATED if count > 1 else NotificationKind.FAILURE
    queue(kind, event=f"group_run:{group_run.pk}", about=about, now=_end(group_run))


def _tell_group_recovery(group_run: GroupRun) -> None:
    told = Notification.objects.filter(module=None, about__group=group_run.group_name).exclude(
        kind=NotificationKind.MISSED
    )
    last = told.order_by("-pk").first()
    if group_run.status != GroupStatus.SUCCESS or last is None or last.kind == NotificationKind.RECOVERY:
        return
    about = {**_about(group_run), "group": group_run.group_name, "since": last.about.get("since")}
    queue(NotificationKind.RECOVERY, event=f"group_run:{group_run.pk}", about=about, now=_end(group_run))


def _tell_recovery(run: Run) -> None:
    """Tell that what was told of is over; nothing was told, nothing is over."""
    assert run.module is not None
    told = Notification.objects.filter(module=run.module_id).exclude(kind__in=_NOT_OF_RUNS).order_by("-pk")
    last = told.first()
    if last is None or last.kind == NotificationKind.RECOVERY:
        return
    recovered = told.filter(kind=NotificationKind.RECOVERY).values_list("pk", flat=True).first() or 0
    first = told.filter(pk__gt=recovered).order_by("pk").first()
    assert first is not None
    failures = _failures(run).filter(pk__gte=first.run_id).count() if first.run_id else 0
    about = {**_about(run), "failures": failures, "since": first.about.get("since")}
    queue(
        NotificationKind.RECOVERY, event=f"run:{run.pk}", module=run.module, about=about, now=_end(run), run_id=run.pk
    )


def _successes(run: Run) -> models.QuerySet[Run]:
    """Return the module's successes, the newest first: whoever started them, they end a row of failures."""
    return Run.objects.filter(module=run.module_id, status=Status.SUCCESS).newest_first()


def _failures(run: Run) -> models.QuerySet[Run]:
    found = Run.objects.filter(FAILED, module=run.module_id, dry_run=False, pk__lte=run.pk)
    return found if setting("notify_manual_runs") else found.exclude(by_hand())


def _about(run: Run | GroupRun) -> dict[str, Any]:
    number = "group_run" if isinstance(run, GroupRun) else "run"
    return {number: run.pk, "status": str(run.status), "trigger": run.trigger, "at": _iso(_end(run))}


def _error(run: Run | GroupRun) -> dict[str, str]:
    """Return what happened and what to do, a line each, without secrets. The system's own words stay with the run."""
    found = run.error or {}
    return {name: line(found.get(name) or "", length) for name, length in _LENGTHS.items()}


def _end(run: Run | GroupRun) -> dt.datetime:
    end: dt.datetime = run.finished_at or timezone.now()
    return end


def _iso(moment: dt.datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(dt.UTC).isoformat(timespec="seconds")

"""Notification rules of runs: the first failure, every n-th in a row, and the first success afterwards.

Dry runs and requested cancels are never reported, runs started on a terminal only if `notify_manual_runs` is set.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

from django.db import models, transaction
from django.dispatch import receiver
from django.utils import timezone

from runs.models import GroupRun, Run
from runs.models.execution import StartedBy
from runs.models.notification import Notification, NotificationKind
from runs.models.setting import Setting, current_settings
from runs.models.states import GroupStatus, Status
from runs.models.transitions import finished
from runs.notify.messages import line, timestamp
from runs.notify.outbox import queue
from runs.notify.recipients import wanted_channels

# cancelled without a request: by a signal from outside, such as at shutdown
_STOPPED = models.Q(status=Status.CANCELLED, cancel_requested=False)
FAILED = models.Q(status__in=(Status.ERROR, Status.REFUSED)) | _STOPPED
# notifications of a module that are not about its runs
_NOT_OF_RUNS = (
    NotificationKind.MISSED,
    NotificationKind.DIFFERENT,
    NotificationKind.EQUAL,
    NotificationKind.UNVERIFIED,
)
# started by a command on a terminal
_ON_TERMINAL = (StartedBy.MANUAL, StartedBy.DEMO)
# maximum lengths of an error's texts
_LENGTHS = {"code": 60, "message": 2000, "hint": 1000}
_log = logging.getLogger(__name__)


@receiver(finished, sender=Run)
def on_finished(instance: Run, **kwargs: Any) -> None:
    """Queue the notifications of a run that just ended.

    It only inserts rows. Its own errors are logged and never keep the run from ending.
    """
    try:
        with transaction.atomic():
            _notify(instance)
    except Exception:
        _log.exception("The notifications of run %s could not be written into the outbox.", instance.pk)


@receiver(finished, sender=GroupRun)
def on_group_finished(instance: GroupRun, **kwargs: Any) -> None:
    """Queue a notification if the group run itself failed, or if it is the first success after that was reported.

    Failures of its members are reported by their own runs.
    """
    try:
        with transaction.atomic():
            if instance.error:
                _notify_group_failure(instance)
            else:
                _notify_group_recovery(instance)
    except Exception:
        _log.exception("The notifications of group run %s could not be written into the outbox.", instance.pk)


def started_manually() -> models.Q:
    """Return the condition of runs that were started on a terminal."""
    return models.Q(trigger__in=_ON_TERMINAL, group_run=None)


def _notify(run: Run) -> None:
    # a person waits for a restore, and it says nothing about the module's runs
    if run.dry_run or run.restore or run.module is None:
        return
    settings = current_settings()
    if run.trigger in _ON_TERMINAL and run.group_run_id is None and not settings.notify_manual_runs:
        return
    if not wanted_channels(settings):
        return
    if run.status == Status.SUCCESS:
        _notify_recovery(run, settings)
    elif Run.objects.filter(FAILED, pk=run.pk).exists():
        _notify_failure(run, settings)


def _notify_failure(run: Run, settings: Setting) -> None:
    last = _successes(run).values_list("pk", flat=True).first() or 0
    failures = _failures(run, settings).filter(pk__gt=last)
    count = failures.count()
    reported = Notification.objects.filter(
        module=run.module_id, kind__in=(NotificationKind.FAILURE, NotificationKind.REPEATED), run__gt=last
    )
    if (kind := _failure_kind(reported, count, settings)) is None:
        return
    since = failures.order_by("pk").values_list("finished_at", flat=True).first()
    about = {**_about(run), "failures": count, "since": timestamp(since), "error": _error(run)}
    _queue_for_run(kind, run, about, settings)


def _failure_kind(reported: models.QuerySet[Notification], count: int, settings: Setting) -> NotificationKind | None:
    """Return the kind of notification of the latest of ``count`` failures in a row; None if it is not reported."""
    if not reported.exists():
        return NotificationKind.FAILURE
    return NotificationKind.REPEATED if count % settings.notify_every == 0 else None


def _notify_group_failure(group_run: GroupRun) -> None:
    if group_run.dry_run:
        return
    settings = current_settings()
    if not (channels := wanted_channels(settings)):
        return
    ended = GroupRun.objects.filter(group_name=group_run.group_name, dry_run=False, pk__lte=group_run.pk)
    last = (
        ended.filter(error__isnull=True, finished_at__isnull=False).order_by("-pk").values_list("pk", flat=True).first()
        or 0
    )
    failures = ended.filter(error__isnull=False, pk__gt=last).order_by("pk")
    count = failures.count()
    reported = Notification.objects.filter(
        module=None,
        about__group=group_run.group_name,
        kind__in=(NotificationKind.FAILURE, NotificationKind.REPEATED),
        about__group_run__gt=last,
    )
    if (kind := _failure_kind(reported, count, settings)) is None:
        return
    first = failures.first()
    about = {
        **_about(group_run),
        "group": group_run.group_name,
        "failures": count,
        "since": timestamp(first.finished_at if first else None),
        "error": _error(group_run),
    }
    queue(kind, channels, event=f"group_run:{group_run.pk}", about=about, now=_end(group_run))


def _notify_group_recovery(group_run: GroupRun) -> None:
    reported = Notification.objects.filter(module=None, about__group=group_run.group_name).exclude(
        kind=NotificationKind.MISSED
    )
    last = reported.order_by("-pk").first()
    if group_run.status != GroupStatus.SUCCESS or last is None or last.kind == NotificationKind.RECOVERY:
        return
    about = {**_about(group_run), "group": group_run.group_name, "since": last.about.get("since")}
    channels = wanted_channels(current_settings())
    queue(NotificationKind.RECOVERY, channels, event=f"group_run:{group_run.pk}", about=about, now=_end(group_run))


def _notify_recovery(run: Run, settings: Setting) -> None:
    """Queue a recovery notification if a failure was reported since the last one."""
    reported = Notification.objects.filter(module=run.module_id).exclude(kind__in=_NOT_OF_RUNS).order_by("-pk")
    last = reported.first()
    if last is None or last.kind == NotificationKind.RECOVERY:
        return
    recovered = reported.filter(kind=NotificationKind.RECOVERY).values_list("pk", flat=True).first() or 0
    first = reported.filter(pk__gt=recovered).order_by("pk").first()
    assert first is not None
    failures = _failures(run, settings).filter(pk__gte=first.run_id).count() if first.run_id else 0
    about = {**_about(run), "failures": failures, "since": first.about.get("since")}
    _queue_for_run(NotificationKind.RECOVERY, run, about, settings)


def _queue_for_run(kind: NotificationKind, run: Run, about: dict[str, Any], settings: Setting) -> None:
    queue(
        kind,
        wanted_channels(settings),
        event=f"run:{run.pk}",
        module=run.module,
        about=about,
        now=_end(run),
        run_id=run.pk,
    )


def _successes(run: Run) -> models.QuerySet[Run]:
    """Return the module's successes, newest first; any success ends a series of failures, however it was started."""
    return Run.objects.filter(module=run.module_id, status=Status.SUCCESS, restore=False).newest_first()


def _failures(run: Run, settings: Setting) -> models.QuerySet[Run]:
    failures = Run.objects.filter(FAILED, module=run.module_id, dry_run=False, restore=False, pk__lte=run.pk)
    return failures if settings.notify_manual_runs else failures.exclude(started_manually())


def _about(run: Run | GroupRun) -> dict[str, Any]:
    number = "group_run" if isinstance(run, GroupRun) else "run"
    about = {number: run.pk, "status": str(run.status), "trigger": run.trigger, "at": timestamp(_end(run))}
    return about if isinstance(run, GroupRun) else {**about, "effect": run.effect, "tries": run.attempt}


def _error(run: Run | GroupRun) -> dict[str, str]:
    """Return the error's code, message and hint, one line each, without secrets; the detail stays with the run."""
    error = run.error or {}
    return {name: line(error.get(name) or "", length) for name, length in _LENGTHS.items()}


def _end(run: Run | GroupRun) -> dt.datetime:
    end: dt.datetime = run.finished_at or timezone.now()
    return end

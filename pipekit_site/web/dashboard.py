"""The dashboard of the admin: counts of active, failed, refused and differing runs and modules, with links to them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from django.db.models import OuterRef, Subquery
from django.http import HttpRequest
from django.utils import timezone

from connections.models import Connection
from modules.models import Module
from pipekit_site.admin_ui import html
from runs.admin import formatting
from runs.models import GroupRun, Run
from runs.models.notification import Notification
from runs.models.states import Status
from runs.models.verification import Verification, VerificationStatus
from scheduling.tick import status

_LAST_RUNS = 12
# upper limit of counts
_MAX_COUNT = 1000
# statuses of verifications that reached a result
_COMPARED = (VerificationStatus.EQUAL, VerificationStatus.DIFFERENT)
_DAY = dt.timedelta(hours=24)


def context(request: HttpRequest, base: dict[str, Any]) -> dict[str, Any]:
    """Add the tiles and the last runs that the user may view to the context of the index page."""
    may = request.user.has_perm
    tiles = list(_run_tiles()) if may("runs.view_run") else []
    tiles += [*(_differing_tiles() if may("runs.view_verification") else [])]
    tiles += [*([_schedules_tile()] if may("scheduling.view_schedule") else [])]
    tiles += [*([_connections_tile()] if may("connections.view_connection") else [])]
    tiles += [*([_notifications_tile()] if may("runs.view_notification") else [])]
    return {**base, "tiles": tiles, "runs": _last_runs() if may("runs.view_run") else None}


def _tile(value: object, label: str, url: str, *, icon: str, colour: str = "plain") -> dict[str, object]:
    return {"value": value, "label": label, "url": url, "icon": icon, "colour": colour}


def _run_tiles() -> Iterator[dict[str, object]]:
    active = Run.objects.active().count()
    url = html.list_of("runs.run", status__in=",".join((Status.QUEUED, Status.RUNNING, Status.LOST)))
    yield _tile(active, "running now", url, icon="sync", colour="primary" if active else "plain")
    if groups := GroupRun.objects.active().count():
        url = html.list_of("runs.grouprun", status__in=",".join(GroupRun.ACTIVE))
        yield _tile(groups, "groups running", url, icon="playlist_play", colour="primary")
    yield _ended_tile(Status.ERROR, "failed in 24 hours", icon="error", colour="danger")
    refused = _ended_tile(Status.REFUSED, "refused by a safety limit in 24 hours", icon="block", colour="warning")
    if refused["value"]:
        yield refused


def _ended_tile(status: Status, label: str, *, icon: str, colour: str) -> dict[str, object]:
    """Count the runs of the last 24 hours with this status, without dry runs, which change nothing."""
    since = timezone.now() - _DAY
    ended = Run.objects.filter(status=status, dry_run=False).newest_first()
    ends = ended.values_list("finished_at", flat=True)[:_MAX_COUNT]
    count = sum(1 for end in ends if end and end > since)
    filters = {"status__in": str(status), "dry_run__exact": "0", "finished_at__gt": since.isoformat()}
    url = html.list_of("runs.run", **filters)
    shown = f"{count}+" if count == _MAX_COUNT else count
    return _tile(shown, label, url, icon=icon, colour=colour if count else "success")


def _differing_tiles() -> Iterator[dict[str, object]]:
    """Count modules whose last verification found differences that have not been repaired."""
    compared = Verification.objects.filter(module=OuterRef("pk"), status__in=_COMPARED).order_by("-pk")
    last = Module.objects.annotate(last=Subquery(compared.values("pk")[:1])).exclude(last=None).values("last")
    different = Verification.objects.filter(pk__in=last, status=VerificationStatus.DIFFERENT).order_by("-pk")
    rows = [row.pk for row in different.only("status", "repaired")[:_MAX_COUNT] if not row.is_repaired]
    if rows:
        url = html.list_of("runs.verification", id__in=",".join(map(str, rows)))
        yield _tile(len(rows), "modules differed when last verified", url, icon="difference", colour="danger")


def _schedules_tile() -> dict[str, object]:
    url = html.list_of("scheduling.schedule", enabled__exact=1)
    scheduler = status.current()
    if not scheduler.count:
        return _tile("none", "schedules enabled", url, icon="schedule")
    last = html.since(scheduler.last.finished_at) if scheduler.last else "never"
    if scheduler.is_late:
        label = f"schedules; scheduler not running (last tick: {last}): manage.py doctor"
        return _tile(scheduler.count, label, url, icon="alarm_off", colour="danger")
    if scheduler.last and scheduler.last.error:
        label = f"schedules; the last tick ({last}) could not finalize dead runs: manage.py doctor"
        return _tile(scheduler.count, label, url, icon="error", colour="danger")
    return _tile(scheduler.count, f"schedules, last tick {last}", url, icon="schedule")


def _connections_tile() -> dict[str, object]:
    if failing := Connection.objects.failing().count():
        url = html.list_of("connections.connection", last_test_ok__exact=0)
        return _tile(failing, "connections failed their test", url, icon="cable", colour="danger")
    return _tile(Connection.objects.count(), "connections", html.list_of("connections.connection"), icon="cable")


def _notifications_tile() -> dict[str, object]:
    count = Notification.objects.undelivered().count()
    url = html.list_of("runs.notification", status__exact="undelivered")
    return _tile(count, "notifications undelivered", url, icon="mail", colour="danger" if count else "plain")


def _last_runs() -> list[dict[str, object]]:
    return [
        {
            "link": html.row_link(run),
            "badge": formatting.badge(run),
            "began": html.timestamp(run.started_at, ago=True),
            "took": formatting.duration(run),
            "rows": formatting.brief_counts(run),
            "problem": formatting.problem(run),
        }
        for run in Run.objects.newest_first().without_texts()[:_LAST_RUNS]
    ]

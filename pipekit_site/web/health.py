"""`/health`: for monitors, no login, nothing that helps an attacker. 200 when all is well, else 503."""

from __future__ import annotations

from django.db import Error
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from modules.models import Module
from scheduling.models import Schedule, Tick
from scheduling.tick.tick import GAP


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """Answer whether the metadata database answers, and whether somebody ticks while something is scheduled."""
    try:
        answer = {"database": True, "tick": _tick()}
    except Error:
        answer = {"database": False, "tick": None}
    tick = answer["tick"]
    ok = answer["database"] is True and isinstance(tick, dict) and not tick["late"]
    return JsonResponse({"ok": ok, **answer}, status=200 if ok else 503, headers={"Cache-Control": "no-store"})


def _tick() -> dict[str, object]:
    """Return when the last tick ended; late when it is older than three minutes and something is scheduled."""
    last = Tick.objects.order_by("pk").first()
    scheduled = Schedule.objects.enabled().exists() or Module.objects.enabled().exclude(full_refresh_cron="").exists()
    late = scheduled and (last is None or timezone.now() - last.finished_at > GAP)
    return {"at": last.finished_at.isoformat() if last else None, "late": late}

"""`/health`: a health check for monitoring, without login or details. Status 200 if healthy, else 503."""

from __future__ import annotations

from django.db import Error
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from scheduling.tick import status


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """Return whether the metadata database is available, and whether the last tick is late."""
    try:
        parts = {"database": True, "tick": _tick()}
    except Error:
        parts = {"database": False, "tick": None}
    tick = parts["tick"]
    ok = parts["database"] is True and isinstance(tick, dict) and not tick["late"]
    return JsonResponse({"ok": ok, **parts}, status=200 if ok else 503, headers={"Cache-Control": "no-store"})


def _tick() -> dict[str, object]:
    """Return the time of the last tick, and whether it is late."""
    scheduler = status.current()
    return {"at": scheduler.last.finished_at.isoformat() if scheduler.last else None, "late": scheduler.is_late}

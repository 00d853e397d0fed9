"""Middleware that responds to throttled logins with status 429 (503 if the server is busy), as HTML or JSON."""

from __future__ import annotations

import math
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from pipekit_site.logins.backend import TooBusy
from pipekit_site.logins.throttle import TooManyAttempts


class LoginThrottleMiddleware:
    """Converts TooManyAttempts to a response."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, TooManyAttempts):
            return None
        busy = isinstance(error, TooBusy)
        status = 503 if busy else 429
        response: HttpResponse
        if "text/html" in request.headers.get("Accept", "text/html"):
            context = {"reason": error.reason, "wait": _duration(error.seconds), "busy": busy}
            response = render(request, "429.html", context, status=status)
        else:
            response = JsonResponse({"code": "too_many_attempts", "message": str(error)}, status=status)
        response.headers["Retry-After"] = str(error.seconds)
        response.headers["Cache-Control"] = "no-store"
        return response


def _duration(seconds: int) -> str:
    """Return a duration for display, in seconds or, rounded up, in minutes."""
    if seconds <= 90:
        return f"{seconds} seconds"
    return f"{math.ceil(seconds / 60)} minutes"

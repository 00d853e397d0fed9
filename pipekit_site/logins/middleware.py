"""Answers 429 to whoever tries to log in too often, in words on a page or in JSON."""

from __future__ import annotations

import math
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from pipekit_site.logins.backend import TooBusy
from pipekit_site.logins.throttle import TooManyAttempts


class LoginThrottleMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, TooManyAttempts):
            return None
        busy = isinstance(error, TooBusy)
        status = 503 if busy else 429
        answer: HttpResponse
        if "text/html" in request.headers.get("Accept", "text/html"):
            answer = render(
                request, "429.html", {"what": error.what, "wait": _words(error.seconds), "busy": busy}, status=status
            )
        else:
            answer = JsonResponse({"code": "too_many_attempts", "message": str(error)}, status=status)
        answer.headers["Retry-After"] = str(error.seconds)
        answer.headers["Cache-Control"] = "no-store"
        return answer


def _words(seconds: int) -> str:
    """Return a wait as people say it, rounded up."""
    if seconds <= 90:
        return f"{seconds} seconds"
    return f"{math.ceil(seconds / 60)} minutes"

"""Middleware that responds with status 503 if the metadata database cannot be used, as HTML or JSON.

The response says neither where the database is nor what is wrong with it, because nobody can be logged in then: that
is logged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import Error
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from pipekit_site.metadata import errors

_log = logging.getLogger(__name__)
_MESSAGE = "The metadata database cannot be used. The server's output and manage.py doctor say why and what to do."


class MetadataUnavailableMiddleware:
    """Converts errors of the metadata database to a response."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, Error) or not errors.is_unavailable(error):
            return None
        unavailable = errors.from_database_error(error)
        _log.error("%s %s %s", unavailable.message, unavailable.hint, unavailable.detail)
        response: HttpResponse
        if "text/html" in request.headers.get("Accept", "text/html"):
            response = render(request, "503.html", status=503)
        else:
            response = JsonResponse({"code": unavailable.code, "message": _MESSAGE}, status=503)
        response.headers["Cache-Control"] = "no-store"
        return response

"""Serves static files from the installed packages, with WhiteNoise, and with URLs that contain a hash of the content.

Files are small and read whole: WhiteNoise streams them with a synchronous iterator, for which Django logs a warning
under ASGI. Browsers cache files for a year, and load a new version at once, because its URL differs.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware

_CACHE_FOREVER = "max-age=31536000, public, immutable"


class VersionedStorage(StaticFilesStorage):
    """Adds the hash of a file's content to its URL, as the parameter ``v``."""

    def url(self, name: str | None) -> str:
        url, version = super().url(name), _version(name or "")
        return f"{url}?v={version}" if version else url


@cache
def _version(name: str) -> str:
    path = finders.find(name)
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12] if path and Path(path).is_file() else ""


class StaticFilesMiddleware(WhiteNoiseMiddleware):
    """WhiteNoise's middleware with responses that are not streamed."""

    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponse:
        streamed = static_file.get_response(request.method, request.META)
        content = b""
        if streamed.file is not None:
            with streamed.file as file:
                content = file.read()
        response = HttpResponse(content, status=int(streamed.status), headers=dict(streamed.headers))
        if "v" in request.GET:
            response.headers["Cache-Control"] = _CACHE_FOREVER
        return response

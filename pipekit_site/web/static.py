"""Style sheets, scripts and fonts, straight from the installed packages. They are small and read whole.

WhiteNoise alone would stream them by a synchronous iterator, of which Django warns under ASGI for every file. Addresses
carry a hash of the content, so that browsers keep files for a year and still see a new version at once.
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

_FOREVER = "max-age=31536000, public, immutable"


class VersionedStorage(StaticFilesStorage):
    def url(self, name: str | None) -> str:
        address, version = super().url(name), _version(name or "")
        return f"{address}?v={version}" if version else address


@cache
def _version(name: str) -> str:
    found = finders.find(name)
    return hashlib.sha256(Path(found).read_bytes()).hexdigest()[:12] if found and Path(found).is_file() else ""


class StaticFilesMiddleware(WhiteNoiseMiddleware):
    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponse:
        found = static_file.get_response(request.method, request.META)
        content = b""
        if found.file is not None:
            with found.file as file:
                content = file.read()
        response = HttpResponse(content, status=int(found.status), headers=dict(found.headers))
        if "v" in request.GET:
            response.headers["Cache-Control"] = _FOREVER
        return response

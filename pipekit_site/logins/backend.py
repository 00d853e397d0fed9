"""Checks passwords, a few at a time: hashing takes a processor for a while, and pages have to be served meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from pipekit_site.logins import throttle

# attempts that may wait for their turn in one process, and seconds for which each does
WAITING, PATIENCE = 40, 30.0


class TooBusy(throttle.TooManyAttempts):
    """Too many attempts wait already, whoever makes them."""

    what = "Too many log in at this moment"


class _Turns:
    """Lets one thread at a time hash, and refuses what would wait too long."""

    def __init__(self) -> None:
        self._one = threading.Lock()
        self._places = threading.BoundedSemaphore(WAITING)

    @contextmanager
    def one(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise TooBusy(5)
        try:
            if not self._one.acquire(timeout=PATIENCE):
                raise TooBusy(5)
            try:
                yield
            finally:
                self._one.release()
        finally:
            self._places.release()


turns = _Turns()


class ThrottledBackend(ModelBackend):
    """Django's own, behind the throttle. Raises TooManyAttempts, which `middleware` answers."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> Any:
        name = username if username is not None else kwargs.get("username")
        if request is None or name is None or password is None:
            # asked by this process itself
            return super().authenticate(request, username=username, password=password, **kwargs)
        # a server that listens on a Unix socket knows no address: all that come that way are one
        address = str(request.META.get("REMOTE_ADDR") or "unknown")
        with turns.one():
            attempt = throttle.begin(str(name), address)
            found = super().authenticate(request, username=username, password=password, **kwargs)
            if found is not None:
                throttle.succeed(attempt)
            return found

    async def aauthenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> Any:
        # hashing on the event loop would stop every other request
        return await sync_to_async(self.authenticate)(request, username=username, password=password, **kwargs)

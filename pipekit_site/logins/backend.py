"""Authentication backend that hashes one password at a time, so that logins do not starve other requests of CPU."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from pipekit_site.logins import throttle

# login attempts that may wait in one process, and the seconds for which each waits
MAX_WAITING, WAIT_TIMEOUT = 40, 30.0


class TooBusy(throttle.TooManyAttempts):
    """Too many login attempts of all users are waiting."""

    reason = "Too many users are logging in at the moment"


class _HashingQueue:
    """Lets one thread at a time hash a password, with limits on the queue's length and on the wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(MAX_WAITING)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn, and hold it during the block. Raises TooBusy."""
        if not self._places.acquire(blocking=False):
            raise TooBusy(5)
        try:
            if not self._lock.acquire(timeout=WAIT_TIMEOUT):
                raise TooBusy(5)
            try:
                yield
            finally:
                self._lock.release()
        finally:
            self._places.release()


hashing_queue = _HashingQueue()


class ThrottledBackend(ModelBackend):
    """Django's ModelBackend with throttling. Raises TooManyAttempts, for which the middleware returns a response."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> Any:
        name = username if username is not None else kwargs.get("username")
        if request is None or name is None or password is None:
            # called from code, not by a login request
            return super().authenticate(request, username=username, password=password, **kwargs)
        # a server on a Unix socket has no client addresses, so all its clients share one
        address = str(request.META.get("REMOTE_ADDR") or "unknown")
        with hashing_queue.turn():
            attempt = throttle.begin(str(name), address)
            user = super().authenticate(request, username=username, password=password, **kwargs)
            if user is not None:
                throttle.succeed(attempt)
            return user

    async def aauthenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> Any:
        # in a thread, because hashing would block the event loop
        return await sync_to_async(self.authenticate)(request, username=username, password=password, **kwargs)

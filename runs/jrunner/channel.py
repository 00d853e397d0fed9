"""Bytes from one coroutine to another: bounded, and joined, since each hand-over costs more than copying."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

_LIMIT = 512 * 1024


class Channel:
    """One producer awaits ``put`` and ends with ``close``; one consumer iterates ``blocks``. Holds half a megabyte."""

    def __init__(self) -> None:
        self.total = 0
        self._held: deque[bytes] = deque()
        self._size = 0
        self._closed = False
        self._error: BaseException | None = None
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()

    async def put(self, block: bytes) -> None:
        self._held.append(block)
        self._size += len(block)
        self._filled.set()
        if self._size >= _LIMIT:
            self._emptied.clear()
            await self._emptied.wait()

    def close(self, error: BaseException | None = None) -> None:
        """End the stream; with ``error`` the consumer gets it raised instead of an end."""
        self._closed, self._error = True, error
        self._filled.set()

    async def blocks(self) -> AsyncIterator[bytes]:
        while True:
            await self._filled.wait()
            if self._error:
                raise self._error
            if self._held:
                block = b"".join(self._held)
                self._held.clear()
                self._size = 0
                self._emptied.set()
                self.total += len(block)
                yield block
            elif self._closed:
                return
            else:
                self._filled.clear()

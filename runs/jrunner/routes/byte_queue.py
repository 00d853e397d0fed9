"""A bounded queue of bytes between two coroutines.

Blocks are joined before they are handed over: switching between coroutines costs more than copying.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

_LIMIT = 512 * 1024


class ByteQueue:
    """One producer awaits ``put`` and calls ``close``; one consumer iterates ``blocks``. Buffers about 512 KiB."""

    def __init__(self) -> None:
        self.total = 0
        self._blocks: deque[bytes] = deque()
        self._size = 0
        self._closed = False
        self._error: BaseException | None = None
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()

    async def put(self, block: bytes) -> None:
        """Add a block; wait while the buffer is full."""
        self._blocks.append(block)
        self._size += len(block)
        self._filled.set()
        if self._size >= _LIMIT:
            self._emptied.clear()
            await self._emptied.wait()

    def close(self, error: BaseException | None = None) -> None:
        """End the stream; ``error``, if given, is raised in the consumer."""
        self._closed, self._error = True, error
        self._filled.set()

    async def blocks(self) -> AsyncIterator[bytes]:
        """Yield the buffered bytes until the queue is closed."""
        while True:
            await self._filled.wait()
            if self._error:
                raise self._error
            if self._blocks:
                block = b"".join(self._blocks)
                self._blocks.clear()
                self._size = 0
                self._emptied.set()
                self.total += len(block)
                yield block
            elif self._closed:
                return
            else:
                self._filled.clear()

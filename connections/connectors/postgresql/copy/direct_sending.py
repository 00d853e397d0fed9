"""Sends the data of a COPY FROM to the socket of an asyncpg connection from a thread, without asyncpg.

asyncpg copies every block, and asyncio's transport copies what the socket does not accept at once and wakes the event
loop for each part of it. That takes longer than encoding the rows.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import threading
from collections.abc import Iterable
from contextlib import closing
from typing import Any

# the message CopyData has its length, with that of the length itself, before the data
_HEADER, _LENGTH = struct.Struct("!cI"), 4
# seconds between two checks of whether to stop while the server accepts nothing
_POLL = 0.2
# bytes that the kernel holds for the server, as far as its settings permit
_BUFFER = 1024 * 1024


async def send_directly(connection: Any, blocks: Iterable[memoryview]) -> bool:
    """Send the blocks, which are made in the thread that sends; return False if the connection needs its transport.

    Called within the source of ``copy_to_table``, while asyncpg waits for the next block and sends nothing. Whatever
    happens, only whole messages are sent, so that asyncpg can send its own afterwards.
    """
    transport = connection._transport
    # with TLS only the transport can send; what it has not sent yet must arrive first
    if transport.get_extra_info("ssl_object") or transport.get_write_buffer_size():
        return False
    with closing(_Sender(transport.get_extra_info("socket").fileno())) as sender:
        sending = asyncio.ensure_future(asyncio.to_thread(sender.send, blocks))
        try:
            await asyncio.shield(sending)
        finally:
            sender.stopped.set()
            await asyncio.wait((sending,))
            # after an error of the socket the transport gets the same one, and asyncpg finds out what the server said
            transport.write(b"".join(sender.rest))
    if sender.error and not transport.is_closing():
        # the socket works again, but the blocks after this one are missing
        raise sender.error
    return True


class _Sender:
    """A second descriptor of the connection's socket."""

    def __init__(self, descriptor: int) -> None:
        self.stopped = threading.Event()
        # that of the socket, after which no more blocks are sent
        self.error: OSError | None = None
        # the parts of a message that have not been sent
        self.rest: list[memoryview] = []
        self._socket = socket.socket(fileno=os.dup(descriptor))
        self._socket.settimeout(_POLL)
        if self._socket.family == socket.AF_UNIX:
            # the socket accepts more when three quarters are free; with less, the server would wait for what is encoded
            # then. The buffer of TCP grows by itself.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)

    def close(self) -> None:
        self._socket.close()

    def send(self, blocks: Iterable[memoryview]) -> None:
        """Send the blocks until `stopped` is set or the socket fails."""
        for block in blocks:
            self.rest = [memoryview(_HEADER.pack(b"d", _LENGTH + len(block))), block]
            while self.rest:
                if self.stopped.is_set():
                    return
                try:
                    self._advance(self._socket.sendmsg(self.rest))
                except TimeoutError:
                    continue
                except OSError as error:
                    self.error = error
                    return

    def _advance(self, sent: int) -> None:
        while self.rest and sent >= len(self.rest[0]):
            sent -= len(self.rest.pop(0))
        if sent:
            self.rest[0] = self.rest[0][sent:]

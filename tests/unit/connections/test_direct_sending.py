"""Sending of COPY data past asyncpg: whatever happens, the server receives whole messages."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from connections.connectors.postgresql.copy.direct_sending import send_directly

# more than the kernel holds
LARGE = bytes(range(256)) * 40_960


def messages(data: bytes) -> list[bytes]:
    """Return the contents of the CopyData messages; fails when the data is not whole messages."""
    found = []
    while data:
        assert data[:1] == b"d"
        length = int.from_bytes(data[1:5], "big")
        assert len(data) >= 1 + length
        found.append(data[5 : 1 + length])
        data = data[1 + length :]
    return found


def sent(blocks: Iterator[bytes], use: Callable[[asyncio.Task[bool], socket.socket], Any]) -> tuple[bytes, Any]:
    """Send the blocks; return what the other side received in total, and what ``use`` returned.

    It is called beside the sending, and the other side reads nothing before it returns.
    """

    async def run() -> tuple[bytes, Any]:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
        connection = SimpleNamespace(_transport=transport)
        task = asyncio.ensure_future(send_directly(connection, map(memoryview, blocks)))
        result = await use(task, theirs)
        transport.close()
        return await received(theirs), result

    return asyncio.run(run())


async def received(sock: socket.socket) -> bytes:
    loop, parts = asyncio.get_running_loop(), []
    with sock:
        while part := await loop.sock_recv(sock, 100_000):
            parts.append(part)
    return b"".join(parts)


def test_blocks_larger_than_the_socket_holds_arrive_as_one_message_each() -> None:
    blocks = [b"start", b"", LARGE, b"end"]

    async def read_late(task: asyncio.Task[bool], theirs: socket.socket) -> bytes:
        # longer than the thread waits before it looks whether to stop
        await asyncio.sleep(0.3)
        data, loop = b"", asyncio.get_running_loop()
        while len(data) < len(LARGE):
            data += await loop.sock_recv(theirs, 50_000)
        assert await task
        return data

    rest, first = sent(iter(blocks), read_late)
    assert messages(first + rest) == blocks


def test_a_message_is_completed_when_the_sending_is_cancelled() -> None:
    async def cancel(task: asyncio.Task[bool], theirs: socket.socket) -> None:
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    data, _ = sent(iter([b"start", LARGE, b"never sent"]), cancel)
    assert messages(data) == [b"start", LARGE]


def test_an_error_while_blocks_are_made_is_raised_after_those_before_it() -> None:
    def blocks() -> Iterator[bytes]:
        yield b"start"
        raise ValueError("no value")

    async def expect(task: asyncio.Task[bool], theirs: socket.socket) -> None:
        with pytest.raises(ValueError, match="no value"):
            await task

    data, _ = sent(blocks(), expect)
    assert messages(data) == [b"start"]


def test_a_closed_connection_ends_the_sending_without_an_error() -> None:
    """The transport finds the same error, and asyncpg raises what the server has said."""

    async def close(task: asyncio.Task[bool], theirs: socket.socket) -> bool:
        theirs.shutdown(socket.SHUT_RDWR)
        return await task

    blocks = iter([LARGE] * 100)
    assert sent(blocks, close) == (b"", True)
    assert next(blocks) == LARGE


def test_an_error_from_which_the_socket_recovers_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message that was begun is completed, but those after it would be missing."""

    def fail(*_: object) -> int:
        raise OSError(errno.ENOBUFS, "No buffer space available")

    async def expect(task: asyncio.Task[bool], theirs: socket.socket) -> None:
        with pytest.raises(OSError, match="No buffer space"):
            await task

    monkeypatch.setattr(socket.socket, "sendmsg", fail)
    data, _ = sent(iter([b"start", b"never sent"]), expect)
    assert messages(data) == [b"start"]


@pytest.mark.parametrize(("ssl_object", "buffered"), [(object(), 0), (None, 1)])
def test_nothing_is_sent_past_tls_or_past_what_is_still_to_be_sent(ssl_object: object, buffered: int) -> None:
    transport = SimpleNamespace(get_extra_info={"ssl_object": ssl_object}.get, get_write_buffer_size=lambda: buffered)
    blocks = iter([memoryview(b"first")])
    assert asyncio.run(send_directly(SimpleNamespace(_transport=transport), blocks)) is False
    assert bytes(next(blocks)) == b"first"

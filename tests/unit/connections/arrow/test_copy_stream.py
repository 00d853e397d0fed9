"""Taking the data of a COPY from what a connection receives, for messages made here."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connections.sdk.compiled import import_compiled

if import_compiled("connections.connectors.postgresql.copy.copy_stream") is None:
    pytest.skip("the module is not compiled", allow_module_level=True)

from connections.connectors.postgresql.copy.copy_stream import CopyStream  # noqa: E402


def message(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack(">I", len(content) + 4) + content


@given(
    st.lists(st.tuples(st.sampled_from([b"d", b"d", b"d", b"N", b"C"]), st.binary(max_size=30)), max_size=30),
    st.integers(1, 60),
    st.integers(1, 40),
)
def test_data_and_other_messages_arrive_wherever_they_are_cut(
    messages: list[tuple[bytes, bytes]], cut: int, size: int
) -> None:
    received = b"".join(message(*each) for each in messages)
    stream, parts, others = CopyStream(size), [], b""
    for at in range(0, len(received), cut):
        others += stream.feed(received[at : at + cut])
        if stream.is_full:
            part = stream.take()
            parts.append(bytes(part))
            # a part has whole messages
            assert b"".join(content for kind, content in messages if kind == b"d").startswith(b"".join(parts))
            stream.reuse(part)
    parts.append(bytes(stream.take()))
    assert b"".join(parts) == b"".join(content for kind, content in messages if kind == b"d")
    assert others == b"".join(message(*each) for each in messages if each[0] != b"d")
    assert all(len(part) >= size for part in parts[:-1])


def test_a_message_larger_than_a_part_arrives_and_an_incomplete_one_stays() -> None:
    stream = CopyStream(10)
    large = message(b"d", b"x" * 1_000_000)
    assert stream.feed(large[:500_000]) == b""
    assert not stream.is_full
    assert bytes(stream.take()) == b""
    stream.feed(large[500_000:] + message(b"d", b"yz")[:6])
    assert stream.is_full
    assert bytes(stream.take()) == b"x" * 1_000_000
    stream.feed(b"z")
    assert bytes(stream.take()) == b"yz"


def test_a_length_that_no_message_has_is_refused() -> None:
    with pytest.raises(ValueError, match="a message has the length 3"):
        CopyStream(10).feed(b"d\0\0\0\x03")

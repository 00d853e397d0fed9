from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

SOURCE: str
KINDS: dict[str, tuple[int, int, int]]

class InvalidData(Exception): ...

class Decoder:
    rows: int
    needed: int
    is_full: bool
    has_ended: bool
    unrepresentable: dict[int, tuple[int, bytes]]
    ascii: set[int]

    def __init__(self, fields: Sequence[tuple[str, int, int]], most_rows: int, most_bytes: int) -> None: ...
    def decode(self, data: bytes | pa.Buffer, start: int) -> int: ...
    def take(self) -> list[list[pa.Buffer | None]]: ...

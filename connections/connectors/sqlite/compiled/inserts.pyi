from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from connections.connectors.sqlite.compiled.connection import Connection

SOURCE: str
INTEGERS: int
DOUBLES: int
TEXTS: int
BLOBS: int
DECIMALS: int
DATES: int
TIMESTAMPS: int
ZONED_TIMESTAMPS: int

class Insert:
    def __init__(self, connection: Connection, functions: int, sql: str, width: int) -> None: ...
    def execute(self, rows: int, columns: Sequence[tuple[int, int, int, Sequence[pa.Buffer | None]]]) -> None: ...
    def close(self) -> None: ...

def is_bindable(kind: int, offset: int, rows: int, buffers: Sequence[pa.Buffer | None], limit: int) -> bool: ...

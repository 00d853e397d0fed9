from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connections.connectors.sqlite.compiled.connection import Connection

SOURCE: str
NUMBER: int
TEXT: int
BYTES: int
INTEGER: int
REAL: int
STRING: int
BLOB: int
NULL_VALUE: int

class WrongClass(Exception):
    position: int
    value: Any

class Rows:
    def __init__(
        self, connection: Connection, functions: int, sql: str, kinds: Sequence[int], max_rows: int
    ) -> None: ...
    def read(self, max_bytes: int) -> tuple[int, list[tuple[Any, ...]]]: ...
    def close(self) -> None: ...

from __future__ import annotations

import pyarrow as pa

SOURCE: str

class CopyStream:
    is_full: bool

    def __init__(self, size: int) -> None: ...
    def feed(self, received: bytes | memoryview) -> bytes: ...
    def take(self) -> pa.Buffer: ...

from collections.abc import Sequence

import pyarrow as pa

SOURCE: str

class RowEncoder:
    def __init__(self, formats: Sequence[tuple[str, int]]) -> None: ...
    def encode(self, arrays: Sequence[pa.Array], start: int, stop: int) -> memoryview | None: ...

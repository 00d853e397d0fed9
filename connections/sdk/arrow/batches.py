"""Arrow batches of a good size: small ones put together, too wide ones cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

_MOST_ROWS = 65536


def gathered(stream: Iterable[pa.RecordBatch], batch_bytes: int) -> Iterator[pa.RecordBatch]:
    """Yield the stream's rows in order, in batches of a quarter to all of ``batch_bytes``, some 65536 rows at most."""
    held: list[pa.RecordBatch] = []
    size = rows = 0
    for batch in stream:
        for part in _cut(batch, batch_bytes):
            held.append(part)
            size += part.nbytes
            rows += part.num_rows
            if size >= batch_bytes // 4 or rows >= _MOST_ROWS:
                yield pa.concat_batches(held)
                held, size, rows = [], 0, 0
    if rows:
        yield pa.concat_batches(held)


def _cut(batch: pa.RecordBatch, batch_bytes: int) -> Iterator[pa.RecordBatch]:
    rows = batch.num_rows
    step = max(1, rows if batch.nbytes <= batch_bytes else rows * batch_bytes // batch.nbytes)
    for start in range(0, rows, step):
        yield batch.slice(start, step)

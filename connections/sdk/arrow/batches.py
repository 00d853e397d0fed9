"""Resizing of Arrow record batches: small batches are concatenated, large ones are sliced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

_MAX_ROWS = 65536
# up to this size a batch is not measured exactly
_ROUGH_BYTES = 256 * 1024


def rebatch(stream: Iterable[pa.RecordBatch], batch_bytes: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of ``stream`` in order, in batches of about ``batch_bytes`` / 4 to ``batch_bytes``.

    A batch also ends after some 65536 rows, whatever its size.
    """
    pending: list[pa.RecordBatch] = []
    size = rows = 0
    for batch in stream:
        for part in _split(batch, batch_bytes):
            pending.append(part)
            size += _size(part)
            rows += part.num_rows
            if size >= batch_bytes // 4 or rows >= _MAX_ROWS:
                yield pa.concat_batches(pending)
                pending, size, rows = [], 0, 0
    if rows:
        yield pa.concat_batches(pending)


def _split(batch: pa.RecordBatch, batch_bytes: int) -> Iterator[pa.RecordBatch]:
    if batch.get_total_buffer_size() <= batch_bytes:
        yield batch
        return
    rows, size = batch.num_rows, batch.nbytes
    step = max(1, rows if size <= batch_bytes else rows * batch_bytes // size)
    for start in range(0, rows, step):
        yield batch.slice(start, step)


def _size(batch: pa.RecordBatch) -> int:
    """Return about ``batch.nbytes``, which takes longer than a small batch takes to be read."""
    size: int = batch.get_total_buffer_size()
    # of a slice, this is the size of the whole; from here on it would distort the batches
    return batch.nbytes if size > _ROUGH_BYTES else size

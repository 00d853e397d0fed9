"""Batches are resized by the size of their rows."""

from __future__ import annotations

import pyarrow as pa

from connections.sdk.arrow.batches import rebatch

_BYTES = 1024 * 1024


def _batch(rows: int) -> pa.RecordBatch:
    return pa.record_batch([pa.array(range(rows), pa.int64())], names=["n"])


def test_small_batches_are_concatenated_to_a_quarter_of_the_size_or_more() -> None:
    batches = list(rebatch((_batch(1000) for _ in range(100)), _BYTES))
    assert [batch.num_rows for batch in batches] == [33_000, 33_000, 33_000, 1000]


def test_slices_of_a_large_batch_count_with_their_own_size() -> None:
    whole = _batch(100_000)
    batches = list(rebatch((whole.slice(start, 1000) for start in range(0, 100_000, 1000)), _BYTES))
    assert [batch.num_rows for batch in batches] == [33_000, 33_000, 33_000, 1000]


def test_a_batch_that_is_too_large_is_split_in_order() -> None:
    batches = list(rebatch([_batch(300_000)], _BYTES))
    assert max(batch.nbytes for batch in batches) <= _BYTES
    assert pa.Table.from_batches(batches)["n"].to_pylist() == list(range(300_000))

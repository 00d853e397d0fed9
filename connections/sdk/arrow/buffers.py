"""Search in the data buffer of a text array, without looking at each value."""

from __future__ import annotations

import pyarrow as pa


def may_contain(array: pa.Array, byte: bytes) -> bool:
    """Return whether ``byte`` occurs in the array's data buffer.

    A cheap test before an exact one: False is certain, but True may come from bytes behind a NULL.
    """
    data = array.buffers()[2]
    if data is None or not len(array):
        return False
    offsets = memoryview(array.buffers()[1]).cast("i")
    start, end = offsets[array.offset], offsets[array.offset + len(array)]
    return byte in data.slice(start, end - start).to_pybytes()

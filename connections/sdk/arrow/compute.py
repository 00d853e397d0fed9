"""Arrow's compute functions; `pyarrow.compute`, whose import makes a wrapper of each function, is imported on use.

The functions that nearly every transfer calls are defined here, so that a small one does not import it.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pyarrow._compute import call_function


def __getattr__(name: str) -> Any:
    import pyarrow.compute

    return getattr(pyarrow.compute, name)


def any(array: pa.Array) -> pa.Scalar:
    """Return whether any element is true; NULL without elements that are not NULL."""
    return call_function("any", [array])


def cast(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Return the array converted to the type. Raises ArrowInvalid for a value that the type does not hold."""
    return array if array.type.equals(target) else array.cast(target)


def is_nan(array: pa.Array) -> pa.Array:
    return call_function("is_nan", [array])


def min_max(array: pa.Array) -> pa.Scalar:
    """Return a struct with the fields ``min`` and ``max``; both are NULL without elements that are not NULL."""
    return call_function("min_max", [array])


def take(array: pa.Array, positions: pa.Array) -> pa.Array:
    """Return the elements at these positions."""
    return call_function("take", [array, positions])

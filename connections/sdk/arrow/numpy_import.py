"""Decides whether an import of pyarrow also imports numpy: only what decodes many values here needs it.

pyarrow imports numpy if it can, which takes longer than to import pyarrow, or to run a small transfer.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# imports of one thread must not make numpy look missing to another
_lock = threading.RLock()


@contextmanager
def without_numpy() -> Iterator[None]:
    """Make numpy look as if it were not installed while the block runs, unless it is imported already."""
    with _lock:
        if "numpy" in sys.modules:
            yield
            return
        # the import of a module that is None fails
        sys.modules["numpy"] = None  # type: ignore[assignment]
        try:
            yield
        finally:
            del sys.modules["numpy"]


@contextmanager
def with_numpy() -> Iterator[None]:
    """Wait for the end of `without_numpy` in other threads, so that the block can import numpy."""
    with _lock:
        yield

"""Parameters of tests: the first is tested by default, the others only by the long tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def first_by_default(values: Iterable[Any]) -> list[Any]:
    """Return the values as parameters, all but the first marked `matrix`."""
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=[pytest.mark.matrix] if number else [])
        for number, value in enumerate(values)
    ]

"""The result of one step of pruning."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How many objects were removed, or would be; ``error`` says why the rest of them stayed."""

    what: str
    count: int
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

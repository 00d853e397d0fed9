"""What one step of pruning did."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """``count`` things went, or would; with an error, the rest of them stayed."""

    what: str
    count: int
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

"""A claim on a table: who may write to it, asked and held in the transaction that writes.

A writer that outlives the process it works for could otherwise put its rows among those of the next one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from connections.sdk.errors import Overtaken


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """``sql`` asks for the run that may write, as one row of one value, and keeps it so until the transaction ends.

    The text takes no parameters: it is run over drivers that write them differently.
    """

    sql: str
    run: str
    module: str

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Claim:
        return cls(sql=data["sql"], run=data["run"], module=data["module"])

    def as_json(self) -> dict[str, str]:
        return asdict(self)

    def check(self, answer: Sequence[Sequence[Any]]) -> None:
        """Raise Overtaken unless the answer to ``sql`` is this run."""
        if [row[0] for row in answer] != [self.run]:
            raise Overtaken(
                f"Another run of {self.module} took over while this one stood still; nothing was published by this"
                " one.",
                hint="Nothing needs doing: the later run published, or will.",
            )

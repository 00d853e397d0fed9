"""A run's claim on a table, checked and locked by each transaction that writes to the table.

Without it, a writer that outlives its run could mix its rows with those of the next run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from connections.sdk.errors import Overtaken
from connections.sdk.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A query for the run that may write, and the run and module that expect to be it.

    ``sql`` returns one row with one value, the run's id, and locks that row until the transaction ends. It takes no
    parameters, because it is executed through drivers with different parameter styles.
    """

    sql: str
    run: str
    module: str

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Claim:
        return cls(sql=data["sql"], run=data["run"], module=data["module"])

    def as_json(self) -> dict[str, str]:
        return asdict(self)

    def check(self, rows: Sequence[Sequence[Any]]) -> None:
        """Raise Overtaken unless ``rows``, the result of ``sql``, name this run."""
        if [row[0] for row in rows] != [self.run]:
            raise Overtaken(
                f"Another run of {self.module} took over while this one was stalled; this one published nothing.",
                hint="No action is needed: the later run publishes the rows.",
            )

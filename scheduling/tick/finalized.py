"""What a tick finalized: runs, group runs and verifications whose process had ended without their final state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from connections.sdk.formatting import one_line
from connections.sdk.records import dataclass
from runs.models import GroupRun, Run
from runs.models.execution import Execution
from runs.models.publish_outcome import outcome_note
from runs.models.states import Effect
from runs.models.transitions import finished


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalized:
    """One of them; ``kind`` is run, group run or verification, ``name`` that of its module or group."""

    kind: str
    number: int
    name: str
    status: str
    # its error, or what is known of its rows
    message: str

    def __str__(self) -> str:
        result = ": ".join(filter(None, [self.status, one_line(self.message)]))
        return f"{self.kind} {self.number} of {self.name}: its process had ended; finalized as {result}"


@contextmanager
def collect_finalized() -> Iterator[list[Finalized]]:
    """Collect what gets its final state in this process during the block."""
    collected: list[Finalized] = []

    def collect(instance: Execution, **kwargs: Any) -> None:
        collected.append(_of_row(instance))

    finished.connect(collect)
    try:
        yield collected
    finally:
        finished.disconnect(collect)


def _of_row(row: Any) -> Finalized:
    message = (row.error or {}).get("message", "")
    if isinstance(row, Run) and not message and row.effect:
        message = outcome_note(row) or Effect(row.effect).label
    name = row.group_name if isinstance(row, GroupRun) else row.module_name
    kind = str(row._meta.verbose_name)
    return Finalized(kind=kind, number=row.pk, name=name, status=str(row.status), message=message)

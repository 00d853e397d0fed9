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


# the models and numbers of rows
Keys = list[tuple[type[Execution], int]]


@contextmanager
def collect_keys() -> Iterator[Keys]:
    """Collect the keys of the rows that get a final state in this process during the block.

    A later receiver of the signal may undo a transition: `finalized_rows` describes the rows that are final.
    """
    keys: Keys = []

    def collect(sender: type[Execution], instance: Execution, **kwargs: Any) -> None:
        # no more than this: an exception would undo the transition
        keys.append((sender, instance.pk))

    finished.connect(collect)
    try:
        yield keys
    finally:
        finished.disconnect(collect)


def finalized_rows(keys: Keys) -> Iterator[Finalized]:
    """Describe those of the rows that are final in the database."""
    for model, number in dict.fromkeys(keys):
        row = model._default_manager.filter(pk=number).first()
        if row is not None and row.is_final:
            yield _of_row(row)


def _of_row(row: Any) -> Finalized:
    message = (row.error or {}).get("message", "")
    if isinstance(row, Run) and not message and row.effect:
        message = outcome_note(row) or Effect(row.effect).label
    name = row.group_name if isinstance(row, GroupRun) else row.module_name
    kind = str(row._meta.verbose_name)
    return Finalized(kind=kind, number=row.pk, name=name, status=str(row.status), message=message)

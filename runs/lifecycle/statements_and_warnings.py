"""Collects the statements and warnings of a run, those of a transaction whose result is unknown until it is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from runs.engine.events import MergeSqlBuilt, MethodChosen, TransactionEvent, TransactionEvents, Warned


class StatementsAndWarnings:
    """The values of a run's fields `merge_sql` and `warnings`.

    They contain those of an unconfirmed transaction from the start: if the process dies, the commit record alone says
    whether it was committed. ``storable`` is applied to warnings.
    """

    def __init__(self, warnings: Sequence[str], *, storable: Callable[[str], str]) -> None:
        self._storable = storable
        self._statements: list[MergeSqlBuilt] = []
        self._warnings = list(warnings)
        self._unconfirmed: TransactionEvents = []

    @property
    def merge_sql(self) -> str:
        """The statements, in order."""
        unconfirmed = [event for event in self._unconfirmed if isinstance(event, MergeSqlBuilt)]
        return "\n\n".join(event.sql for event in (*self._statements, *unconfirmed)).strip()

    @property
    def warnings(self) -> list[str]:
        """The warnings, each once: an attempt repeats those of the attempts before it."""
        unconfirmed = [self._storable(event.message) for event in self._unconfirmed if isinstance(event, Warned)]
        return list(dict.fromkeys([*self._warnings, *unconfirmed]))

    def add(self, event: MergeSqlBuilt | Warned) -> None:
        """Add a statement or a warning."""
        if isinstance(event, MergeSqlBuilt):
            self._statements.append(event)
        else:
            self._warnings.append(self._storable(event.message))

    def add_unconfirmed(self, transaction: Iterable[TransactionEvent]) -> None:
        """Add a transaction of which it is not known whether it was committed; one before it was not."""
        self._unconfirmed = list(transaction)

    def settle(self, *, is_committed: bool) -> None:
        """Keep or drop the unconfirmed transaction; what was executed before it stays."""
        for event in self._unconfirmed:
            if isinstance(event, MethodChosen):
                continue
            if is_committed or (isinstance(event, MergeSqlBuilt) and event.is_committed):
                self.add(event)
        self._unconfirmed = []

    def drop_statements(self) -> None:
        """Drop the statements of an attempt that was rolled back; its warnings stay."""
        self._statements = [event for event in self._statements if event.is_committed]

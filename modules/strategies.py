"""The merge strategies and their properties, for validation, the engine and the admin. No Django."""

from __future__ import annotations

from enum import StrEnum

from connections.sdk.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a strategy needs, and what it does with the rows of the destination."""

    # as the admin shows it
    label: str = ""
    # everything is read, and all rows of the destination are replaced
    replaces_all: bool = False
    # rows are matched by the merge key, so the module needs one
    needs_key: bool = False
    # without a watermark column, the first column of the merge key bounds what is read
    implies_watermark: bool = False
    # matched rows are deleted and inserted again, which resets columns that the query does not fill
    replaces_matches: bool = False
    # matched rows are updated in place
    updates_matches: bool = False
    # existing rows are never updated or deleted
    only_adds: bool = False


class Strategy(StrEnum):
    """How staged rows are merged into the destination table. The values are stored and exported."""

    FULL = "full"
    INCREMENTAL = "incremental"
    APPEND = "append"
    UPSERT = "upsert"

    @property
    def traits(self) -> Traits:
        return _TRAITS[self]


_TRAITS: dict[str, Traits] = {
    Strategy.FULL: Traits(label="Full: replace everything", replaces_all=True),
    Strategy.INCREMENTAL: Traits(
        label="Incremental: replace rows by key", needs_key=True, implies_watermark=True, replaces_matches=True
    ),
    Strategy.APPEND: Traits(label="Append: only insert", only_adds=True),
    Strategy.UPSERT: Traits(label="Upsert: insert or update by key", needs_key=True, updates_matches=True),
}
CHOICES = [(strategy.value, strategy.traits.label) for strategy in Strategy]


def traits_of(name: str) -> Traits:
    """Return the traits of a strategy by name; none for a name that is not valid."""
    return _TRAITS.get(name, Traits())

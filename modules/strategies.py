"""The merge strategies and their properties, for validation, the engine and the admin. No Django."""

from __future__ import annotations

from connections.sdk.records import dataclass
from modules.choices import Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a strategy needs, and what it does with the rows of the destination."""

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


class Strategy(Choice):
    """How staged rows are merged into the destination table."""

    FULL = "full", "Full: replace everything"
    INCREMENTAL = "incremental", "Incremental: replace rows by key"
    APPEND = "append", "Append: only insert"
    UPSERT = "upsert", "Upsert: insert or update by key"

    @property
    def traits(self) -> Traits:
        return _TRAITS[self]


_TRAITS: dict[str, Traits] = {
    Strategy.FULL: Traits(replaces_all=True),
    Strategy.INCREMENTAL: Traits(needs_key=True, implies_watermark=True, replaces_matches=True),
    Strategy.APPEND: Traits(only_adds=True),
    Strategy.UPSERT: Traits(needs_key=True, updates_matches=True),
}


def traits_of(name: str) -> Traits:
    """Return the traits of a strategy by name; none for a name that is not valid."""
    return _TRAITS.get(name, Traits())

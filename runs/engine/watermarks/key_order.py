"""Which column of a key_sync_query is which column of the merge key: by name, whatever order the query has.

A transfer goes by position, and keys in another order would all be missing at the source: their rows would be deleted.
"""

from __future__ import annotations

from collections.abc import Sequence

from connections import registry
from connections.sdk.capabilities import Cap
from connections.sdk.schema import Column
from modules.query.aliases import safe_alias
from runs.engine.connecting import open_session
from runs.engine.plan import Plan


def in_order(plan: Plan, keys: Sequence[Column]) -> tuple[tuple[Column, ...], str]:
    """Return the key columns in the order of the module's key_sync_query, and a warning when names do not tell it."""
    if not plan.key_sync_query or len(keys) < 2:
        return tuple(keys), ""
    introspector = registry.connector(plan.source.kind, Cap.READ).introspector
    with open_session(plan.source, Cap.READ) as session:
        names = [info.name for info in introspector.describe_query(session, plan.key_sync_query)]
    if len(names) != len(keys):
        # the transfer fails and says so
        return tuple(keys), ""
    return order(keys, names)


def order(keys: Sequence[Column], names: Sequence[str]) -> tuple[tuple[Column, ...], str]:
    """Return the key column for each name, and a warning when several could only be told by their position."""
    found = _matched(keys, names)
    places = [place for place in range(len(names)) if place not in found]
    rest = [key for key in keys if key not in found.values()]
    found |= dict(zip(places, rest, strict=True))
    ordered = tuple(found[place] for place in range(len(names)))
    if len(rest) < 2:
        return ordered, ""
    taken = ", ".join(f"“{names[place]}” for {key.dest_name}" for place, key in zip(places, rest, strict=True))
    return ordered, (
        f"key_sync_query names columns that the merge key does not have; by their order it takes {taken}. Give them "
        "the names of the merge key: AS " + ", AS ".join(key.dest_name for key in rest) + "."
    )


def _matched(keys: Sequence[Column], names: Sequence[str]) -> dict[int, Column]:
    """Return the key columns that names tell, by position: their destination's name first, then their source's."""
    found: dict[int, Column] = {}
    for at_source in (False, True):
        for key in keys:
            name = key.source_name if at_source else key.dest_name
            if key in found.values() or not name:
                continue
            wanted = safe_alias(name)
            places = [place for place, text in enumerate(names) if safe_alias(text) == wanted and place not in found]
            if len(places) == 1:
                found[places[0]] = key
    return found

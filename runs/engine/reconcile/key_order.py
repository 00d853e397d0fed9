"""Matches the columns of a key_sync_query to those of the merge key by name, whatever their order in the query.

A transfer matches columns by position: with keys in another order, all rows would seem to be missing at the source and
would be deleted.
"""

from __future__ import annotations

from collections.abc import Sequence

from connections import registry
from connections.sdk.capabilities import Cap
from connections.sdk.schema import Column
from modules.query.aliases import safe_alias
from runs.engine.plan import Plan
from runs.engine.sessions import open_session


def in_order(plan: Plan, keys: Sequence[Column]) -> tuple[tuple[Column, ...], str]:
    """Return the key columns in the order of the module's key_sync_query, and a warning if its names do not match."""
    if not plan.key_sync_query or len(keys) < 2:
        return tuple(keys), ""
    introspector = registry.connector(plan.source.kind, Cap.READ).introspector
    with open_session(plan.source, Cap.READ) as session:
        names = [info.name for info in introspector.describe_query(session, plan.key_sync_query)]
    if len(names) != len(keys):
        # the transfer fails and reports it
        return tuple(keys), ""
    return order(keys, names)


def order(keys: Sequence[Column], names: Sequence[str]) -> tuple[tuple[Column, ...], str]:
    """Return the key column for each name, and a warning if two or more could only be matched by position."""
    matched = _match_by_name(keys, names)
    positions = [position for position in range(len(names)) if position not in matched]
    rest = [key for key in keys if key not in matched.values()]
    matched |= dict(zip(positions, rest, strict=True))
    ordered = tuple(matched[position] for position in range(len(names)))
    if len(rest) < 2:
        return ordered, ""
    by_position = ", ".join(
        f"“{names[position]}” for {key.dest_name}" for position, key in zip(positions, rest, strict=True)
    )
    return ordered, (
        f"key_sync_query names columns that the merge key does not have; by their order it takes {by_position}. Give "
        "them the names of the merge key: AS " + ", AS ".join(key.dest_name for key in rest) + "."
    )


def _match_by_name(keys: Sequence[Column], names: Sequence[str]) -> dict[int, Column]:
    """Return the key columns by position in ``names``, matched by destination name first, then by source name."""
    matched: dict[int, Column] = {}
    for at_source in (False, True):
        for key in keys:
            name = key.source_name if at_source else key.dest_name
            if key in matched.values() or not name:
                continue
            alias = safe_alias(name)
            positions = [
                position for position, text in enumerate(names) if safe_alias(text) == alias and position not in matched
            ]
            if len(positions) == 1:
                matched[positions[0]] = key
    return matched

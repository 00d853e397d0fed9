"""Checks, before a DELETE, which rows of other tables foreign keys would delete or change with it.

A row that is replaced is deleted and inserted again; rows of other tables that the DELETE cascaded to are not restored.
Rows whose referenced row is deleted because foreign keys are not enforced are counted, for a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from connections.sdk.errors import QueryInvalid, Refused
from connections.sdk.schema import TableInfo
from connections.sdk.sql.foreign_keys import (
    CASCADES,
    Deletion,
    ForeignKey,
    ForeignKeyViolated,
    count_orphans,
    count_referencing,
    lock_deleted,
)
from runs.engine.destination import Destination
from runs.engine.plan import Plan
from runs.engine.publish.safety_limits import written_before

_UPSERT = "Use merge_strategy: upsert, which updates rows in place and deletes none"


def deletion(dest: Destination, table: TableInfo | None, *, null_keys: bool) -> Deletion | None:
    """Return which rows of the destination the publish deletes, None if it deletes none."""
    plan = dest.plan
    if table is None:
        return None
    if plan.strategy.traits.replaces_all:
        return Deletion()
    if plan.strategy.traits.replaces_matches and plan.supports_deletes:
        return Deletion(keys=dest.staging, key=plan.merge_key, null_safe=null_keys)
    return None


def may_break(dest: Destination, table: TableInfo | None, deleting: Deletion | None) -> bool:
    """Return whether foreign keys of other tables can affect the publish."""
    rewrites = dest.plan.strategy.traits.updates_matches and not dest.dialect.updates_in_place
    return deleting is not None or (table is not None and rewrites)


def referencing(dest: Destination) -> tuple[ForeignKey, ...]:
    """Return the foreign keys that reference the destination."""
    return dest.introspector.foreign_keys(dest.session, dest.table)


def check_truncate(dest: Destination) -> None:
    """Raise QueryInvalid when foreign keys of other tables prevent TRUNCATE."""
    if others := preventing_truncate(dest):
        raise QueryInvalid(
            f"{dest.table} cannot be emptied by TRUNCATE: it is referenced by {listed(others)}.",
            hint=truncate_hint(others),
        )


def preventing_truncate(dest: Destination) -> list[ForeignKey]:
    """Return the foreign keys of other tables that prevent TRUNCATE, whether or not these have rows."""
    return [key for key in referencing(dest) if key.enforced and not key.own]


def truncate_hint(keys: Sequence[ForeignKey]) -> str:
    """Return the hint for a table that is referenced; DELETE is an alternative only if no foreign key cascades."""
    if cascading := [key for key in keys if key.cascades]:
        return (
            f"{_UPSERT}. Setting full_publish to delete would {_cascades(cascading)}, so that is refused unless the "
            "run is forced."
        )
    return (
        f"{_UPSERT}. Or set the module's full_publish to delete: the table is then emptied by DELETE, which works "
        f"as long as no row of {keys[0].table} references one of its rows, or its foreign key is deferred."
    )


def check(
    dest: Destination, keys: Sequence[ForeignKey], deleting: Deletion, *, what: str, published: int | None = None
) -> list[str]:
    """Raise Refused for a DELETE that would change rows of other tables; with `force`, return warnings instead.

    ``what`` names the DELETE in messages. ``published`` is the number of rows that the run published before, if known.
    """
    # when the whole table is emptied, its references to itself do not matter
    cascading = [key for key in keys if key.cascades and not (key.own and deleting.keys is None)]
    if not cascading:
        return []
    # row locks are written to each row, so they are not taken for a run that is refused anyway
    effects = [] if dest.plan.force else _effects(dest, cascading, deleting)
    if not effects and (lock := lock_deleted(dest.dialect, dest.table, deleting)):
        dest.session.fetch(lock)
        # references that were added before the lock was taken
        effects = _effects(dest, cascading, deleting)
    if not effects:
        return []
    text = f"{what} would {' and '.join(effects)}"
    if dest.plan.force:
        return [f"{text}; allowed because the run was forced."]
    if deleting.returns:
        raise Refused(f"{text}; nothing was changed.", hint=f"{_UPSERT}; or run it once with --force.")
    raise Refused(
        f"{text}; none was deleted. {written_before(published)}",
        hint=f"Run it once with --force if these rows are to be deleted too{_or_without_key_sync(dest.plan)}.",
    )


def _effects(dest: Destination, cascading: Sequence[ForeignKey], deleting: Deletion) -> list[str]:
    """Describe the effects on rows of other tables, one text for each foreign key that has any."""
    effects = []
    for key in cascading:
        if not key.readable:
            effects.append(f"{CASCADES[key.on_delete]} rows of {key} (how many is not known: it may not be read)")
        elif rows := dest.fetch_int(count_referencing(dest.dialect, key, deleting)):
            effects.append(f"{CASCADES[key.on_delete]} {rows} rows of {key}{_indirect_effects(dest, key)}")
    return effects


@contextmanager
def explain_violations(dest: Destination, keys: Sequence[ForeignKey], *, returns: bool = True) -> Iterator[None]:
    """Set the hint of a foreign key violation: which rows prevent the DELETE, and what to do.

    ``returns`` means that the deleted rows are inserted again.
    """
    try:
        yield
    except ForeignKeyViolated as error:
        if blocking := _blocking(error, keys):
            advice = (
                _advice(dest, blocking) if returns else f"Delete those rows first{_or_without_key_sync(dest.plan)}."
            )
            error.hint = f"Rows of {listed(blocking)} reference rows that would be deleted. {advice}"
        raise


def _advice(dest: Destination, keys: Sequence[ForeignKey]) -> str:
    """Return the advice for rows that are deleted and inserted again."""
    if dest.dialect.updates_in_place:
        return f"{_UPSERT}."
    update_caveat = (
        "an UPDATE also deletes and inserts rows when it sets a column that is a list or has an index, as columns of "
        "unique and foreign keys have"
    )
    if dest.plan.strategy.traits.updates_matches or any(key.own for key in keys):
        return (
            f"The system checks this before they are inserted again, and {update_caveat}: drop the foreign key, or "
            "exclude such columns from the query."
        )
    return f"{_UPSERT} (but {update_caveat}); or drop the foreign key."


def _or_without_key_sync(plan: Plan) -> str:
    return "; otherwise turn key_sync off" if plan.key_sync else ""


def _blocking(error: ForeignKeyViolated, keys: Sequence[ForeignKey]) -> list[ForeignKey]:
    """Return the foreign keys that may have prevented the DELETE, none if it was not the DELETE that violated one."""
    named = [key for key in keys if error.constraint and (key.table, key.constraint) == (error.table, error.constraint)]
    if error.is_referencing:
        # rows are written to the destination only, so a key of another table was violated by the DELETE
        return [key for key in named if not key.own]
    # systems that name no constraint; a key of a partition has a name of its own
    return named or [key for key in keys if key.enforced and not key.cascades]


def _indirect_effects(dest: Destination, key: ForeignKey) -> str:
    """Name the tables that the DELETE would cascade to through the referencing table."""
    reached, pending = [dest.table], [key]
    while pending:
        table = pending.pop(0).table
        if table not in reached:
            reached.append(table)
            # SET NULL does not cascade further
            referenced = dest.introspector.foreign_keys(dest.session, table)
            pending += [k for k in referenced if k.on_delete == "CASCADE"]
    if key.on_delete != "CASCADE" or len(reached) < 3:
        return ""
    return f", and through them rows of {', '.join(map(str, reached[2:]))}"


def _cascades(keys: Sequence[ForeignKey]) -> str:
    return " and ".join(f"{CASCADES[key.on_delete]} rows of {key.table}" for key in keys)


def listed(keys: Sequence[ForeignKey]) -> str:
    return ", ".join(map(str, keys))


class OrphanedRows:
    """Counts orphaned rows when it is created, and again for the warnings; enforced foreign keys are skipped."""

    def __init__(self, dest: Destination, keys: Sequence[ForeignKey]) -> None:
        self._dest = dest
        counts = [(key, self._count(key)) for key in keys if not key.enforced]
        self._before = [(key, count) for key, count in counts if count is not None]

    def warnings(self) -> list[str]:
        """Return one text for each foreign key that more rows violate than before."""
        return [
            f"Rows of {key} reference rows of {self._dest.table} that were deleted ({after - before} of them): "
            "the connection does not enforce foreign keys, so nothing prevented the delete and nothing cascaded."
            for key, before in self._before
            if (after := self._count(key)) is not None and after > before
        ]

    def _count(self, key: ForeignKey) -> int | None:
        """Return the number of orphaned rows; None if the query fails, for example for an unknown collation."""
        try:
            return self._dest.fetch_int(count_orphans(self._dest.dialect, key))
        except QueryInvalid:
            return None

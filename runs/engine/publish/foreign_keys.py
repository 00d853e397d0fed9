"""Rows of other tables that a DELETE would reach through foreign keys: looked for before anything is deleted.

A row that comes again is deleted and inserted; what had cascaded from it does not come back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from connections import registry
from connections.sdk.errors import InvalidValue, PipekitError, QueryInvalid, Refused
from connections.sdk.protocols import Session
from connections.sdk.schema import TableInfo
from connections.sdk.sql.foreign_keys import CASCADES, Deletion, ForeignKey, count_referencing, lock_deleted
from runs.engine.plan import Plan, Strategy
from runs.engine.publish.safety_limits import written_before
from runs.engine.publish.staging import dialect_of

# how DuckDB says that a row which is put in references none
_LACKS = "does not exist in the referenced table"
_UPSERT = "Use merge_strategy: upsert, which rewrites rows in place and deletes none"


def deletion(plan: Plan, table: TableInfo | None, *, null_keys: bool) -> Deletion | None:
    """Return which rows of the destination the publish deletes, None when it deletes none."""
    if table is None:
        return None
    if plan.strategy is Strategy.FULL:
        return Deletion()
    if plan.strategy is Strategy.INCREMENTAL and plan.supports_deletes:
        staging = dialect_of(plan).staging_table(plan.module)
        return Deletion(keys=staging, key=plan.merge_key, null_safe=null_keys)
    return None


def may_break(plan: Plan, table: TableInfo | None, deleting: Deletion | None) -> bool:
    """Whether foreign keys of other tables can be in the way of the publish."""
    rewrites = plan.strategy is Strategy.UPSERT and not dialect_of(plan).updates_in_place
    return deleting is not None or (table is not None and rewrites)


def pointing_at(opened: Session, plan: Plan) -> tuple[ForeignKey, ...]:
    """Return the foreign keys that reference the destination."""
    return registry.connector(plan.destination.kind).introspector.foreign_keys(opened, plan.dest_table)


def check_truncate(opened: Session, plan: Plan) -> None:
    """Raise QueryInvalid when foreign keys of other tables keep the table from being emptied by TRUNCATE."""
    others = [key for key in pointing_at(opened, plan) if key.enforced and not key.own]
    if others:
        raise QueryInvalid(
            f"{plan.dest_table} cannot be emptied by TRUNCATE: it is referenced by {_listed(others)}.",
            hint=truncate_hint(others),
        )


def truncate_hint(keys: Sequence[ForeignKey]) -> str:
    """Return what to do about a table that is referenced; DELETE would help only where nothing cascades from it."""
    if cascading := [key for key in keys if key.cascades]:
        return (
            f"{_UPSERT}. Setting full_publish to delete would {_harms(cascading)}, so that is refused unless the "
            "run is forced."
        )
    return (
        f"{_UPSERT}. Or set the module's full_publish to delete: the table is then emptied by DELETE, which works "
        f"as long as no row of {keys[0].table} references one of its rows, or its foreign key is deferred."
    )


def check(
    opened: Session,
    plan: Plan,
    keys: Sequence[ForeignKey],
    deleting: Deletion,
    *,
    what: str,
    published: int | None = None,
) -> list[str]:
    """Refuse a DELETE that would change rows of other tables; return warnings when `force` let it pass.

    ``published`` is how many rows the run has written before, where that is known.
    """
    # of a table that is emptied, no row is left that a key of its own could reach
    cascading = [key for key in keys if key.cascades and not (key.own and deleting.keys is None)]
    if not cascading:
        return []
    # a lock is written into each row: a run that is refused anyway takes none
    harmed = [] if plan.force else _harmed(opened, plan, cascading, deleting)
    if not harmed and (lock := lock_deleted(dialect_of(plan), plan.dest_table, deleting)):
        opened.fetch(lock)
        # what came to reference these rows before the lock
        harmed = _harmed(opened, plan, cascading, deleting)
    if not harmed:
        return []
    text = f"{what} would {' and '.join(harmed)}"
    if plan.force:
        return [f"{text}; allowed because the run was forced."]
    if deleting.returns:
        raise Refused(f"{text}; nothing was changed.", hint=f"{_UPSERT}; or run it once with --force.")
    raise Refused(
        f"{text}; none was deleted. {written_before(published)}",
        hint=f"Run it once with --force if these rows are to go too{_otherwise(plan)}.",
    )


def _harmed(opened: Session, plan: Plan, cascading: Sequence[ForeignKey], deleting: Deletion) -> list[str]:
    """Return what would happen to rows of other tables, in words, one text for each foreign key."""
    dialect, harmed = dialect_of(plan), []
    for key in cascading:
        if not key.readable:
            harmed.append(f"{CASCADES[key.on_delete]} rows of {key} (how many is not known: it may not be read)")
        elif rows := opened.fetch(count_referencing(dialect, key, deleting))[0][0]:
            harmed.append(f"{CASCADES[key.on_delete]} {rows} rows of {key}{_further(opened, plan, key)}")
    return harmed


@contextmanager
def explained(plan: Plan, keys: Sequence[ForeignKey], *, returns: bool = True) -> Iterator[None]:
    """Say in the hint of a failed DELETE which rows keep it from being done, and what to do."""
    try:
        yield
    except InvalidValue as error:
        if blocking := _blocking(error, keys):
            advice = _advice(plan, blocking) if returns else f"Delete those rows first{_otherwise(plan)}."
            error.hint = f"Rows of {_listed(blocking)} reference rows that would be deleted. {advice}"
        elif _LACKS in error.message:
            error.hint = (
                "Load the table that is referenced first. Rows that reference others of the same table cannot come "
                "with them in one run, because each row is checked at once: drop such a foreign key."
            )
        raise


def _advice(plan: Plan, keys: Sequence[ForeignKey]) -> str:
    """Return what to do about rows that are deleted to come again."""
    if dialect_of(plan).updates_in_place:
        return f"{_UPSERT}."
    rewrites = (
        "an UPDATE deletes and inserts rows, too, when it sets a column that is a list or has an index, as those of "
        "unique and foreign keys have"
    )
    if plan.strategy is Strategy.UPSERT or any(key.own for key in keys):
        return (
            f"The system checks this before they come again, and {rewrites}: drop the foreign key, or leave such "
            "columns out of the query."
        )
    return f"{_UPSERT} (but {rewrites}); or drop the foreign key."


def _otherwise(plan: Plan) -> str:
    return "; otherwise turn key_sync off" if plan.key_sync else ""


def _blocking(error: PipekitError, keys: Sequence[ForeignKey]) -> list[ForeignKey]:
    text = f"{error.message} {error.detail}"
    if "insert or update on table" in text or _LACKS in text:
        # a row that is put in lacks the one that it references: nothing that a DELETE did
        return []
    named = [key for key in keys if key.constraint and f'"{key.constraint}"' in text]
    if named:
        return named
    # systems that do not name the constraint speak English
    enforced = [key for key in keys if key.enforced and not key.cascades]
    return enforced if "foreign key" in text.lower() else []


def _further(opened: Session, plan: Plan, key: ForeignKey) -> str:
    """Return which tables are reached through the referencing one in turn."""
    introspector, reached, pending = registry.connector(plan.destination.kind).introspector, [plan.dest_table], [key]
    while pending:
        table = pending.pop(0).table
        if table not in reached:
            reached.append(table)
            # a reference that becomes NULL takes nothing else with it
            pending += [k for k in introspector.foreign_keys(opened, table) if k.on_delete == "CASCADE"]
    if key.on_delete != "CASCADE" or len(reached) < 3:
        return ""
    return f", and through them rows of {', '.join(map(str, reached[2:]))}"


def _harms(keys: Sequence[ForeignKey]) -> str:
    return " and ".join(f"{CASCADES[key.on_delete]} rows of {key.table}" for key in keys)


def _listed(keys: Sequence[ForeignKey]) -> str:
    return ", ".join(map(str, keys))

"""Checks before the transfer that rows can be written to the destination: its kind, its name, its generated columns."""

from __future__ import annotations

from collections.abc import Sequence

from connections import registry
from connections.sdk.errors import ConfigurationInvalid, PipekitError, QueryInvalid, Refused
from connections.sdk.schema import Column, TableInfo, TableName
from runs.engine.destination import Destination
from runs.engine.plan import Plan
from runs.engine.publish import foreign_keys, missing_table
from runs.engine.publish.method import PublishMethod

_ADVICE = {
    "materialized view": "Choose a table as dest_table; a hook can then run REFRESH MATERIALIZED VIEW.",
    "view": "Choose the table below it as dest_table.",
}


def check(dest: Destination, table: TableInfo | None, method: PublishMethod) -> list[str]:
    """Check the existing table for the method by which it is filled, or the name of a new one; return warnings.

    Raises ConfigurationInvalid for a table that cannot be written, QueryInvalid for one that cannot be truncated,
    Refused for one that earlier runs did not fill, or when a new table would have nearly the same name as another.
    """
    if table is None:
        return [*_check_new(dest), *missing_table.warnings(dest)]
    warnings = _check_former(dest, table)
    _check_kind(dest, table, method)
    if method is PublishMethod.TRUNCATE and dest.dialect.truncates:
        foreign_keys.check_truncate(dest)
    return warnings


def _check_former(dest: Destination, table: TableInfo) -> list[str]:
    """Raise Refused if earlier runs filled another table, which still exists, by the same name."""
    former = dest.plan.former_table
    if former is None or former.schema == table.name.schema or dest.describe(former) is None:
        return []
    text = (
        f"{dest.table} is now {table.name}, by the schema in the URL of the connection; earlier runs of the module"
        f" filled {former}"
    )
    if dest.plan.force:
        return [f"{text}. {table.name} is filled because the run was forced."]
    raise Refused(
        f"{text}. Nothing was changed.",
        hint=f"Write dest_table: {former}. If {table.name} is meant, write that, or run it once with --force.",
    )


def _check_kind(dest: Destination, table: TableInfo, method: PublishMethod) -> None:
    needed = _needed(dest, method)
    missing = [word for word in ("insert", "update", "delete") if word in needed - table.accepts]
    if missing:
        words = " and ".join(word.upper() for word in missing)
        raise ConfigurationInvalid(
            f"{dest.table} is a {table.kind} that does not accept {words}.",
            hint=_ADVICE.get(table.kind, "Choose a table as dest_table, or another merge_strategy."),
        )
    if "truncate" in needed - table.accepts:
        raise QueryInvalid(
            f"{dest.table} is a {table.kind}, which TRUNCATE cannot empty.",
            hint="Set the module's full_publish to delete: it is then emptied by DELETE.",
        )


def _needed(dest: Destination, method: PublishMethod) -> frozenset[str]:
    plan, traits, needed = dest.plan, dest.plan.strategy.traits, {"insert"}
    if traits.replaces_all:
        needed.add("truncate" if method is PublishMethod.TRUNCATE and dest.dialect.truncates else "delete")
    elif plan.supports_deletes:
        needed |= {"update"} if traits.updates_matches else set()
        needed |= {"delete"} if traits.replaces_matches or plan.key_sync else set()
    return frozenset(needed)


def _check_new(dest: Destination) -> list[str]:
    introspector, session = dest.introspector, dest.session
    if what := introspector.conflicting_object(session, dest.table):
        raise ConfigurationInvalid(
            f"{dest.table} is the name of a {what}, so no table of that name can be created.",
            hint="Choose another dest_table.",
        )
    if similar := introspector.similar_tables(session, dest.table):
        existing = ", ".join(map(str, similar))
        text = f"There is no table {dest.table}, but there is {existing}; names must match exactly"
        if not f"{dest.table}{existing}".isascii() or " " in existing or " " in str(dest.table):
            # the names may look the same
            text += f" ({str(dest.table)!a}, not {existing!a})"
        if not dest.plan.force:
            raise Refused(
                f"{text}. No second table was created.",
                hint=f"Write dest_table: {similar[0]}. If another table is meant, run it once with --force.",
            )
        return [f"{text}. A second table is created because the run was forced."]
    schema = dest.table.schema
    if not schema:
        return _warn_of_usual_schema(dest)
    if introspector.has_schema(session, schema):
        return []
    existing = ", ".join(introspector.similar_schemas(session, schema))
    return [f"There is no schema {schema}, but there is {existing}; names must match exactly."] if existing else []


def _warn_of_usual_schema(dest: Destination) -> list[str]:
    """Warn of a new table in the connection's schema if one of this name in the system's usual schema has rows."""
    usual = registry.dialect(dest.plan.destination.kind).default_schema
    if usual == dest.dialect.default_schema:
        return []
    table = TableName(usual, dest.table.table)
    info = dest.describe(table)
    if info is None or "insert" not in info.accepts or not _has_rows(dest, table):
        return []
    return [
        f"{dest.table} is named without a schema, and the connection's search_path, not {usual}, decides where the new"
        f" table is created. The table {table}, which has rows, is not filled; if it is meant, write dest_table:"
        f" {table}."
    ]


def _has_rows(dest: Destination, table: TableName) -> bool:
    try:
        return bool(dest.session.fetch(dest.dialect.limited(f"SELECT 1 FROM {dest.dialect.qualified(table)}", 1)))
    except PipekitError:
        # a table that this user may not read is not one that modules have filled
        return False


def check_columns(plan: Plan, table: TableInfo | None, columns: Sequence[Column]) -> None:
    """Raise ConfigurationInvalid for a column of the query that the strategy cannot write."""
    existing = [info for column in columns if table and (info := table.column(column.dest_name))]
    if generated := [info.name for info in existing if info.generated]:
        names = ", ".join(generated)
        raise ConfigurationInvalid(
            f"The table {plan.dest_table} computes {names} itself (GENERATED ALWAYS AS): it cannot be written.",
            hint=f"Remove {names} from the query; instead of *, list the other columns.",
        )
    rewrites = plan.strategy.traits.updates_matches and plan.supports_deletes
    identities = [info.name for info in existing if info.identity == "always" and info.name not in plan.merge_key]
    if rewrites and identities:
        name = identities[0]
        raise ConfigurationInvalid(
            f"{name} of {plan.dest_table} is GENERATED ALWAYS AS IDENTITY: upsert cannot update its value.",
            hint=f"Remove {name} from the query, or ALTER TABLE {plan.dest_table} ALTER COLUMN {name} "
            "SET GENERATED BY DEFAULT.",
        )


def takes_identity_values(table: TableInfo | None, columns: Sequence[Column]) -> bool:
    """Return whether the query fills a GENERATED ALWAYS AS IDENTITY column, which needs OVERRIDING SYSTEM VALUE."""
    infos = [table.column(column.dest_name) for column in columns] if table else []
    return any(info is not None and info.identity == "always" for info in infos)

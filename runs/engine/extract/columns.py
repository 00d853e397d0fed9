"""Which columns travel: names from the query's text, types from the destination table, the module or a probe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

from connections import registry
from connections.sdk.errors import ColumnMissing, QueryInvalid
from connections.sdk.schema import Column, ColumnInfo, TableInfo
from connections.sdk.sql.publishing import PublishingDialect
from connections.sdk.sql.type_grammar import checked, is_type
from connections.sdk.sql.types import DataType, Kind
from modules.query.aliases import check_names, safe_alias
from modules.query.mapping import QueryMapping, map_columns
from runs.engine.plan import Plan
from runs.engine.publish.destination_shape import usable_type


def named(plan: Plan, query: str, probed: Sequence[ColumnInfo]) -> tuple[Column, ...]:
    """Return one column per result column, both names and the source's type known, the destination's not yet.

    Raises QueryInvalid when query text and probe disagree on how many there are, ConfigurationInvalid when two end
    up with one name.
    """
    mapping = map_columns(query, registry.dialect(plan.source.kind))
    columns = _starred(plan, probed) if mapping.star else _mapped(mapping, probed)
    check_names([column.dest_name for column in columns])
    return columns


def _starred(plan: Plan, probed: Sequence[ColumnInfo]) -> tuple[Column, ...]:
    quote = registry.dialect(plan.source.kind).quote
    return tuple(
        Column(
            dest_name=safe_alias(info.name),
            dest_type="",
            source_name=info.name,
            source_expression=quote(info.name),
            source_type=info.native_type,
            data_type=info.data_type,
        )
        for info in probed
    )


def _mapped(mapping: QueryMapping, probed: Sequence[ColumnInfo]) -> tuple[Column, ...]:
    if len(mapping.columns) != len(probed):
        raise QueryInvalid(
            f"The query's text names {len(mapping.columns)} columns, the source returns {len(probed)}.",
            hint="Write every column of the select list with an alias of its own.",
        )
    return tuple(
        Column(
            dest_name=mapped.dest_name,
            dest_type="",
            source_name=mapped.source_name or info.name,
            source_expression=mapped.source_expression,
            source_type=info.native_type,
            trim=mapped.trim,
            data_type=info.data_type,
        )
        for mapped, info in zip(mapping.columns, probed, strict=True)
    )


def guessed(plan: Plan, query: str, table: TableInfo | None) -> tuple[Column, ...]:
    """Return the columns as far as they are known without asking the source: for a dry run.

    Empty when the query is ``SELECT *`` and the destination does not exist yet.
    """
    if plan.columns:
        return plan.columns
    mapping = map_columns(query, registry.dialect(plan.source.kind))
    if not mapping.star:
        infos = [ColumnInfo(name=c.source_name, native_type="", data_type=DataType.unknown()) for c in mapping.columns]
        return _mapped(mapping, infos)
    if table is None:
        return ()
    # without the query's own names, the watermark's source name is the destination's
    return _starred(plan, [replace(column, native_type="") for column in table.columns if not column.generated])


def typed(
    plan: Plan, columns: Sequence[Column], table: TableInfo | None, has_type: Callable[[str], bool]
) -> tuple[tuple[Column, ...], list[str]]:
    """Return the columns with their destination types, and warnings about what a type loses.

    An existing destination table decides; then the module; then the same type where both systems are one kind; then
    the destination's mapping. Raises ColumnMissing when an existing table, or the query, lacks a column.
    """
    check_known(plan, columns, table)
    _possible(plan, [column.dest_name for column in columns])
    collations = table.key_collations(plan.merge_key) if table else {}
    given = {column.dest_name: column for column in plan.columns}
    warnings: list[str] = []
    parse = registry.datatypes(plan.destination.kind).parse
    found = []
    for column in columns:
        existing = table.column(column.dest_name) if table else None
        if existing is not None:
            native = usable_type(plan, existing)
        elif (own := given.get(column.dest_name)) and own.dest_type:
            native = checked(own.dest_type)
        else:
            native, warning = _mapped_type(plan, column, has_type)
            warnings += [f"Column {column.dest_name}: {warning}."] if warning else []
        collation = collations.get(column.dest_name, "")
        found.append(replace(column, dest_type=native, data_type=parse(native), collation=collation))
    return tuple(found), warnings


def _possible(plan: Plan, names: Sequence[str]) -> None:
    """Raise ConfigurationInvalid for names with which the destination could not be filled rightly."""
    dialect = cast(PublishingDialect, registry.dialect_for(plan.destination))
    dialect.check_columns(names)
    if plan.keep_latest and plan.merge_key and plan.watermark:
        dialect.keep_latest(dialect.staging_table(plan.module), tuple(names), plan.merge_key, plan.watermark)


def _mapped_type(plan: Plan, column: Column, has_type: Callable[[str], bool]) -> tuple[str, str]:
    # what the source calls the type is somebody's text until it has been looked at
    if plan.source.kind == plan.destination.kind and is_type(column.source_type):
        if column.data_type.kind is not Kind.NATIVE or has_type(column.source_type):
            return column.source_type, ""
        text = registry.datatypes(plan.destination.kind).render(DataType(kind=Kind.TEXT)).native
        return text, f"the destination has no type {column.source_type}, it becomes {text}"
    rendered = registry.datatypes(plan.destination.kind).render(column.data_type)
    return rendered.native, rendered.warning


def check_known(plan: Plan, columns: Sequence[Column], table: TableInfo | None) -> None:
    """Raise ColumnMissing for a name that the query does not return, or that the destination does not have."""
    names = {column.dest_name for column in columns}
    wanted = {*plan.merge_key, *([plan.watermark] if plan.watermark else []), *(c.dest_name for c in plan.columns)}
    if missing := sorted(wanted - names):
        raise ColumnMissing(
            f"The query of {plan.module} returns no column “{missing[0]}”.",
            hint=f"It returns {', '.join(c.dest_name for c in columns)}; "
            "merge key, watermark and columns use these names.",
        )
    if table is not None and (error := missing_in(table, columns)):
        raise error


def missing_in(table: TableInfo, columns: Sequence[Column]) -> ColumnMissing | None:
    """Return the error about the first column of the query that the destination does not have; None without one."""
    if not (names := [c.dest_name for c in columns if table.column(c.dest_name) is None]):
        return None
    return ColumnMissing(
        f"The destination {table.name} has no column “{names[0]}”.",
        hint=f'Add it (ALTER TABLE {table.name} ADD COLUMN "{names[0]}" ...), or take it out of the query.',
    )

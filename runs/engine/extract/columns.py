"""The columns of a run: names from the query's text, types from the destination table, the module or the source.

The *probe* is the source's own description of the query's columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from connections import registry
from connections.sdk.errors import ColumnMissing, QueryInvalid
from connections.sdk.schema import Column, ColumnInfo, TableInfo
from connections.sdk.sql.type_validation import checked, is_type
from connections.sdk.types import DataType, Kind
from modules.query.aliases import check_names, safe_alias
from modules.query.column_mapping import QueryMapping, map_columns
from runs.engine.destination import Destination
from runs.engine.plan import Plan


def columns_from_probe(plan: Plan, query: str, probed: Sequence[ColumnInfo]) -> tuple[Column, ...]:
    """Return one column per result column, with both names and the source's type, without the destination's type.

    Raises QueryInvalid when the query's text and the probe differ in the number of columns, ConfigurationInvalid when
    two columns have the same name.
    """
    mapping = map_columns(query, registry.dialect(plan.source.kind))
    columns = _from_star(plan, probed) if mapping.star else _from_select_list(mapping, probed)
    check_names([column.dest_name for column in columns])
    return columns


def _from_star(plan: Plan, probed: Sequence[ColumnInfo]) -> tuple[Column, ...]:
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


def _from_select_list(mapping: QueryMapping, probed: Sequence[ColumnInfo]) -> tuple[Column, ...]:
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


def columns_without_probe(plan: Plan, query: str, table: TableInfo | None) -> tuple[Column, ...]:
    """Return the columns as far as they are known without the source, for a dry run.

    Empty when the query is ``SELECT *`` and the destination does not exist yet.
    """
    if plan.columns:
        return plan.columns
    mapping = map_columns(query, registry.dialect(plan.source.kind))
    if not mapping.star:
        infos = [ColumnInfo(name=c.source_name, native_type="", data_type=DataType.unknown()) for c in mapping.columns]
        return _from_select_list(mapping, infos)
    if table is None:
        return ()
    # the query's own names are unknown, so the source names are taken from the destination
    return _from_star(plan, [replace(column, native_type="") for column in table.columns if not column.generated])


def with_destination_types(
    dest: Destination, columns: Sequence[Column], table: TableInfo | None
) -> tuple[tuple[Column, ...], list[str]]:
    """Return the columns with their destination types, and warnings about lossy types.

    In order of precedence: the existing destination table; the module; the source's type if both systems are of one
    kind; the destination's type mapping. Raises ColumnMissing when an existing table or the query lacks a column.
    """
    plan = dest.plan
    check_columns_known(plan, columns, table)
    _check_names(dest, [column.dest_name for column in columns])
    collations = table.key_collations(plan.merge_key) if table else {}
    by_module = {column.dest_name: column for column in plan.columns}
    warnings: list[str] = []
    typed = []
    for column in columns:
        existing = table.column(column.dest_name) if table else None
        if existing is not None:
            native = dest.type_in_ddl(existing)
        elif (own := by_module.get(column.dest_name)) and own.dest_type:
            native = checked(own.dest_type)
        else:
            native, warning = _mapped_type(dest, column)
            warnings += [f"Column {column.dest_name}: {warning}."] if warning else []
        collation = collations.get(column.dest_name, "")
        typed.append(replace(column, dest_type=native, data_type=dest.datatypes.parse(native), collation=collation))
    return tuple(typed), warnings


def _check_names(dest: Destination, names: Sequence[str]) -> None:
    """Raise ConfigurationInvalid for column names that the destination's statements cannot handle."""
    plan = dest.plan
    dest.dialect.check_columns(names)
    if plan.keep_latest and plan.merge_key and plan.watermark:
        dest.dialect.keep_latest(dest.staging, tuple(names), plan.merge_key, plan.watermark)


def _mapped_type(dest: Destination, column: Column) -> tuple[str, str]:
    # the source's type name is arbitrary text, so it is checked before it is used in DDL
    if dest.plan.source.kind == dest.plan.destination.kind and is_type(column.source_type):
        if column.data_type.kind is not Kind.NATIVE or dest.introspector.has_type(dest.session, column.source_type):
            return column.source_type, ""
        text = dest.datatypes.render(DataType(kind=Kind.TEXT)).native
        return text, f"the destination has no type {column.source_type}, it becomes {text}"
    rendered = dest.datatypes.render(column.data_type)
    return rendered.native, rendered.warning


def check_columns_known(plan: Plan, columns: Sequence[Column], table: TableInfo | None) -> None:
    """Raise ColumnMissing for a name that the query does not return, or that the destination does not have."""
    names = {column.dest_name for column in columns}
    required = {*plan.merge_key, *([plan.watermark] if plan.watermark else []), *(c.dest_name for c in plan.columns)}
    if missing := sorted(required - names):
        raise ColumnMissing(
            f"The query of {plan.module} returns no column “{missing[0]}”.",
            hint=f"It returns {', '.join(c.dest_name for c in columns)}; "
            "merge key, watermark and columns use these names.",
        )
    if table is not None and (error := column_missing_in(table, columns)):
        raise error


def column_missing_in(table: TableInfo, columns: Sequence[Column]) -> ColumnMissing | None:
    """Return the error about the first column of the query that the table lacks, None if it lacks none."""
    if not (names := [c.dest_name for c in columns if table.column(c.dest_name) is None]):
        return None
    return ColumnMissing(
        f"The destination {table.name} has no column “{names[0]}”.",
        hint=f'Add it (ALTER TABLE {table.name} ADD COLUMN "{names[0]}" ...), or remove it from the query.',
    )

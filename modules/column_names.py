"""Validates the column names of a module: everything except its source query refers to destination columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from connections import registry
from connections.sdk.errors import PipekitError
from connections.sdk.schema import TableName
from connections.sdk.sql.publishing import PublishingDialect
from modules.choices import DuplicateKeys
from modules.query.aliases import check_names, safe_alias, suggest
from modules.query.column_mapping import map_columns

if TYPE_CHECKING:
    from modules.models import Module

_TEXTS = ("source_name", "source_expression", "source_type", "dest_name", "dest_type")


def column_errors(module: Module) -> Iterator[tuple[str, str]]:
    """Yield (field, message) for errors in the columns, the query's mapping, and the names that refer to columns."""
    yield from _shape(module.columns)
    if not module.source_query or module.source_connection_id is None:
        return
    try:
        names = _destination_names(module)
    except PipekitError as error:
        yield "source_query", f"{error.message} {error.hint}".strip()
        return
    if not names:
        yield from _unsafe("merge_key", module.key_columns)
        yield from _unsafe("watermark_column", tuple(filter(None, [module.watermark_column])))
        return
    yield from _unknown("merge_key", module.key_columns, names)
    yield from _unknown("watermark_column", tuple(filter(None, [module.watermark_column])), names)
    if _is_columns(module.columns):
        yield from _unknown("columns", tuple(column["dest_name"] for column in module.columns or ()), names)


def _destination_names(module: Module) -> dict[str, str]:
    """Return source names by destination name; empty if only the source knows them (``SELECT *``)."""
    mapping = map_columns(module.source_query, registry.dialect(module.source_connection.driver.kind))
    check_names(column.dest_name for column in mapping.columns)
    if module.dest_connection_id is not None:
        dialect = registry.dialect(module.dest_connection.driver.kind)
        names = tuple(column.dest_name for column in mapping.columns)
        dialect.check_columns(names)
        if names and module.duplicate_keys == DuplicateKeys.KEEP_LATEST and isinstance(dialect, PublishingDialect):
            # raises for names that would hide the row ids it relies on
            dialect.keep_latest(TableName("", "t"), names, names[:1], names[0])
    return {column.dest_name: column.source_name for column in mapping.columns}


def _unknown(field: str, used: tuple[str, ...], names: dict[str, str]) -> Iterator[tuple[str, str]]:
    for name in used:
        if name not in names:
            close = suggest(name, names)
            hint = f"did you mean {close}?" if close else f"the destination columns are {', '.join(names)}."
            yield field, f"“{name}” is not a destination column; {hint} Source names occur only in the source query."


def _unsafe(field: str, used: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield an error for names that no column of a ``SELECT *`` can have, because these are converted to safe names."""
    for name in used:
        if safe_alias(name) != name:
            yield (
                field,
                f"“{name}” is not a destination column; did you mean {safe_alias(name)}? The columns of a query with * "
                "get lower-case names of letters, digits and “_”.",
            )


def _shape(columns: Any) -> Iterator[tuple[str, str]]:
    if columns in (None, []):
        return
    if not _is_columns(columns):
        yield (
            "columns",
            'Columns are a list of objects such as [{"source_name": "DCORD#", "dest_name": "dcord"}], each with '
            "at least dest_name; leave it empty to derive them.",
        )
        return
    for number, column in enumerate(columns, start=1):
        if unknown := sorted(set(column) - {*_TEXTS, "trim"}):
            yield (
                "columns",
                f"Column {number} has unknown keys: {', '.join(unknown)}. Known are {', '.join(_TEXTS)}, trim.",
            )


def _is_columns(columns: Any) -> bool:
    return isinstance(columns, list) and bool(columns) and all(_is_column(column) for column in columns)


def _is_column(column: Any) -> bool:
    return (
        isinstance(column, dict)
        and bool(column.get("dest_name"))
        and all(isinstance(column.get(key, ""), str) for key in _TEXTS)
        and isinstance(column.get("trim", False), bool)
    )

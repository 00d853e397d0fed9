"""Checks of a watermark's type before the module runs, as far as its columns declare their types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from connections import registry
from connections.sdk.errors import PipekitError
from connections.sdk.types import DataType, Kind
from modules import implied_watermark
from modules.strategies import traits_of

if TYPE_CHECKING:
    from modules.models import Module


def watermark_errors(module: Module) -> Iterator[tuple[str, str]]:
    """Yield (field, message) if the watermark's type cannot be ordered. A run checks this for every column."""
    field = "watermark_column" if module.watermark_column else "merge_key"
    traits = traits_of(module.merge_strategy)
    if traits.replaces_all or not (module.watermark_column or traits.implies_watermark):
        return
    for data_type in _types(module, module.effective_watermark):
        if data_type.why_unordered:
            yield (
                field,
                f"The watermark {module.effective_watermark} {data_type.why_unordered}. Name a number, a date or a "
                "timestamp that grows as watermark_column; or choose full, or upsert without one.",
            )
            return


def warning(module: Module) -> str:
    """Return a warning if the implied watermark (see `implied_watermark`) may not grow; else an empty string.

    Only types that the module itself declares are known here; a run checks every column.
    """
    if not traits_of(module.merge_strategy).implies_watermark or module.watermark_column.strip():
        return ""
    name = module.effective_watermark
    types = [*_types(module, name), *_trimmed(module, name)]
    return next((implied_watermark.warning(name, each) for each in types if implied_watermark.may_not_grow(each)), "")


def _trimmed(module: Module, name: str) -> Iterator[DataType]:
    """Yield TEXT for a column that the query trims."""
    # imported here: slow to import, and needed only where modules are saved
    from modules.query.column_mapping import map_columns

    try:
        mapping = map_columns(module.source_query, registry.dialect(module.source_connection.driver.kind))
    except PipekitError:
        # an invalid query is reported when it is saved, or by its runs
        return
    if any(column.dest_name == name and column.trim for column in mapping.columns):
        yield DataType(kind=Kind.TEXT)


def _types(module: Module, name: str) -> Iterator[DataType]:
    columns = module.columns if isinstance(module.columns, list) else []
    sides = (("source_type", "source_connection"), ("dest_type", "dest_connection"))
    for column in (c for c in columns if isinstance(c, dict) and c.get("dest_name") == name):
        for key, side in sides:
            native = column.get(key)
            if isinstance(native, str) and native and getattr(module, f"{side}_id") is not None:
                yield registry.datatypes(getattr(module, side).driver.kind).parse(native)

"""What can be said of a module's watermark before it runs, where its columns give their types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from connections import registry
from connections.sdk.errors import PipekitError
from connections.sdk.sql.types import DataType, Kind
from modules import implied_watermark
from modules.choices import MergeStrategy

if TYPE_CHECKING:
    from modules.models import Module


def find(module: Module) -> Iterator[tuple[str, str]]:
    """Yield why the watermark's type cannot be one; a run refuses it too, of every column."""
    field = "watermark_column" if module.watermark_column else "merge_key"
    if module.merge_strategy == MergeStrategy.FULL or (
        not module.watermark_column and module.merge_strategy != MergeStrategy.INCREMENTAL
    ):
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
    """Return the warning about a key column that stands in for the watermark and may not grow; empty without one.

    As far as the module itself tells its type; a run warns of every column.
    """
    if module.merge_strategy != MergeStrategy.INCREMENTAL or module.watermark_column.strip():
        return ""
    name = module.effective_watermark
    found = [*_types(module, name), *_trimmed(module, name)]
    return next((implied_watermark.warning(name, one) for one in found if implied_watermark.may_not_grow(one)), "")


def _trimmed(module: Module, name: str) -> Iterator[DataType]:
    """Yield TEXT for a column that the query trims."""
    # takes long to import, and only what saves modules needs it
    from modules.query.mapping import map_columns

    try:
        mapping = map_columns(module.source_query, registry.dialect(module.source_connection.driver.kind))
    except PipekitError:
        # said when it is saved, or by its runs
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

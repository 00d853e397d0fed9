"""What can be said of a module's watermark before it runs, where its columns give their types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from connections import registry
from connections.sdk.datatypes import DataType
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


def _types(module: Module, name: str) -> Iterator[DataType]:
    columns = module.columns if isinstance(module.columns, list) else []
    sides = (("source_type", "source_connection"), ("dest_type", "dest_connection"))
    for column in (c for c in columns if isinstance(c, dict) and c.get("dest_name") == name):
        for key, side in sides:
            native = column.get(key)
            if isinstance(native, str) and native and getattr(module, f"{side}_id") is not None:
                yield registry.datatypes(getattr(module, side).driver.kind).parse(native)

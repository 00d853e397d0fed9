"""The implied watermark: an incremental module without a watermark column is bounded by its first key column.

That is correct only if the key column grows.
"""

from __future__ import annotations

from connections.sdk.types import DataType, Kind

# kinds whose values do not grow over time: names, codes, random UUIDs
_UNORDERED_IN_TIME = frozenset({Kind.TEXT, Kind.UUID, Kind.TIME, Kind.NATIVE})


def may_not_grow(data_type: DataType) -> bool:
    """Return whether new rows may have values below the highest existing one."""
    return data_type.kind in _UNORDERED_IN_TIME


def warning(column: str, data_type: DataType) -> str:
    """Return a warning about the rows that are not read with such an implied watermark, and what to do."""
    what = "a text" if data_type.kind is Kind.TEXT else f"of type {data_type.native or data_type.kind.value}"
    return (
        f"There is no watermark_column, so a run reads only rows whose {column}, the first column of the merge key, is "
        f"at least the highest one in the destination. {column} is {what}: rows with a lower one are never read, "
        "neither new ones nor changes. Name a column that grows with every change as watermark_column, or use "
        f"merge_strategy: upsert, which reads all rows. If {column} only grows, name it as watermark_column."
    )


def not_unique(column: str) -> str:
    """Return an addition to the warning that rows share the highest value, for a key of several columns."""
    return (
        f" {column} bounds what is read only because it is the first column of the merge key: if it does not grow with "
        "every new row, as a company's number does not, rows with a lower one are never read either."
    )

"""The first key column of an incremental module without a watermark column: it bounds the query, so it has to grow."""

from __future__ import annotations

from connections.sdk.sql.types import DataType, Kind

# values of these kinds come in no order of time: names, codes, random UUIDs
_UNORDERED_IN_TIME = frozenset({Kind.TEXT, Kind.UUID, Kind.TIME, Kind.NATIVE})


def may_not_grow(data_type: DataType) -> bool:
    """Whether a new row's value may well be below the highest one that is there."""
    return data_type.kind in _UNORDERED_IN_TIME


def warning(column: str, data_type: DataType) -> str:
    """Return what an incremental module leaves out when such a key column is its watermark, and what to do."""
    what = "a text" if data_type.kind is Kind.TEXT else f"of type {data_type.native or data_type.kind.value}"
    return (
        f"There is no watermark_column, so a run reads only rows whose {column}, the first column of the merge key, is "
        f"at least the highest one in the destination. {column} is {what}: rows with a lower one are never read, "
        "neither new ones nor changes. Name a column that grows with every change as watermark_column, or use "
        f"merge_strategy: upsert, which reads all rows. If {column} only grows, name it as watermark_column."
    )


def not_unique(column: str) -> str:
    """Return what to add about such a column when rows share its highest value: the key has further columns."""
    return (
        f" {column} bounds what is read only because it is the first column of the merge key: if it does not grow with "
        "every new row, as a company's number does not, rows with a lower one are never read either."
    )

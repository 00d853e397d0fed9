"""The highest watermark of the destination after a publish, without reading the whole table once more if possible."""

from __future__ import annotations

from connections.sdk.errors import DataError
from connections.sdk.types import Kind
from runs.engine.destination import Destination
from runs.engine.watermarks.bounds import Bound

# types that every system orders in the same way as their literals; texts have collations
_COMPARABLE = frozenset({Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})


def after_publish(dest: Destination, bound: Bound | None, *, rows: int) -> str | None:
    """Return the destination's highest watermark after staging is published; None if the table must be read for it.

    It is staging's highest one if that is not below the bound, which was the highest before.
    """
    plan, dialect = dest.plan, dest.dialect
    if not plan.watermark or bound is None:
        return None
    if not rows:
        return bound.value
    if bound.value is not None and not _reaches(dest, bound):
        return None
    value: str | None = dest.session.fetch(dialect.maximum(dest.staging, plan.watermark))[0][0]
    return value


def _reaches(dest: Destination, bound: Bound) -> bool:
    assert bound.value is not None
    data_type = bound.data_type
    if dest.dialect.compares_as_text(data_type) or not (data_type.is_numeric or data_type.kind in _COMPARABLE):
        return False
    try:
        literal = dest.dialect.literal(bound.value, data_type)
    except DataError:
        # infinity and the like
        return False
    return bool(dest.fetch_int(dest.dialect.reaches(dest.staging, bound.column, literal)))

"""Converts the result of a comparison to fields of a Verification: counts, warnings, and examples of bounded size."""

from __future__ import annotations

from os.path import commonprefix
from typing import Any

from connections.sdk.schema import Column
from connections.sdk.sql.types import NUMERIC_KINDS, Kind

_INTEGERS = NUMERIC_KINDS - {Kind.DECIMAL, Kind.REAL, Kind.DOUBLE}
# characters of a value that are kept, and how many of these precede the first difference
_MAX_LENGTH, _BEFORE = 200, 50


def results(comparison: Any) -> dict[str, Any]:
    """Return the fields of the verification."""
    outcome, columns = comparison.outcome, comparison.compared.key_columns
    return {
        "source_rows": outcome.source_rows,
        "dest_rows": outcome.dest_rows,
        "missing": outcome.counts.missing,
        "extra": outcome.counts.extra,
        "different": outcome.counts.different,
        "compared": {
            "since": comparison.since.value if comparison.since else None,
            "since_column": comparison.since.column if comparison.since else None,
            "sampled": comparison.sample is not None,
        },
        "warnings": list(comparison.warnings),
        "examples": {
            "missing": [_key(key.key, columns) for key in outcome.missing],
            "extra": [_key(key.key, columns) for key in outcome.extra],
            "different": [_different(value, columns) for value in outcome.different],
        },
    }


def _different(value: Any, columns: tuple[Column, ...]) -> dict[str, Any]:
    source, destination = value.source, value.destination
    begin = 0
    if source is not None and destination is not None and max(len(source), len(destination)) > _MAX_LENGTH:
        # skip the common beginning, except for some context
        begin = max(len(commonprefix([source, destination])) - _BEFORE, 0)
    return {
        "key": _key(value.key, columns),
        "column": value.column,
        "source": shortened(source, begin),
        "dest": shortened(destination, begin),
    }


def shortened(text: str | None, begin: int = 0) -> str | None:
    """Return the text; if it is long, the part from ``begin`` on and its length."""
    if text is None or len(text) <= _MAX_LENGTH:
        return text
    end = begin + _MAX_LENGTH
    return f"{'…' if begin else ''}{text[begin:end]}{'…' if end < len(text) else ''} ({len(text):,} characters)"


def _key(key: tuple[str | None, ...], columns: tuple[Column, ...]) -> Any:
    """Return a key for JSON: an integer or a text, or a list of these for several columns."""
    values = [
        int(text) if text is not None and column.data_type.kind in _INTEGERS else shortened(text)
        for text, column in zip(key, columns, strict=True)
    ]
    return values[0] if len(values) == 1 else values

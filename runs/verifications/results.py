"""What a comparison found, as a verification's row keeps it: counts, warnings, and examples of bounded size."""

from __future__ import annotations

from os.path import commonprefix
from typing import Any

from connections.sdk.schema import Column
from connections.sdk.sql.types import NUMERIC_KINDS, Kind

_INTEGERS = NUMERIC_KINDS - {Kind.DECIMAL, Kind.REAL, Kind.DOUBLE}
# characters of a value that are kept, and of what stands before the first difference of two long ones
_LONGEST, _BEFORE = 200, 50


def results(found: Any) -> dict[str, Any]:
    """Return the fields of the row."""
    outcome, columns = found.outcome, found.compared.key_columns
    return {
        "source_rows": outcome.source_rows,
        "dest_rows": outcome.dest_rows,
        "missing": outcome.counts.missing,
        "extra": outcome.counts.extra,
        "different": outcome.counts.different,
        "compared": {
            "since": found.since.value if found.since else None,
            "since_column": found.since.column if found.since else None,
            "sampled": found.sample is not None,
        },
        "warnings": list(found.warnings),
        "examples": {
            "missing": [_key(key.key, columns) for key in outcome.missing],
            "extra": [_key(key.key, columns) for key in outcome.extra],
            "different": [_different(value, columns) for value in outcome.different],
        },
    }


def _different(value: Any, columns: tuple[Column, ...]) -> dict[str, Any]:
    source, destination = value.source, value.destination
    begin = 0
    if source is not None and destination is not None and max(len(source), len(destination)) > _LONGEST:
        # what they have in common says nothing
        begin = max(len(commonprefix([source, destination])) - _BEFORE, 0)
    return {
        "key": _key(value.key, columns),
        "column": value.column,
        "source": shortened(source, begin),
        "dest": shortened(destination, begin),
    }


def shortened(text: str | None, begin: int = 0) -> str | None:
    """Return the text, or of a long one a part from ``begin`` on and how long it is."""
    if text is None or len(text) <= _LONGEST:
        return text
    end = begin + _LONGEST
    return f"{'…' if begin else ''}{text[begin:end]}{'…' if end < len(text) else ''} ({len(text):,} characters)"


def _key(key: tuple[str | None, ...], columns: tuple[Column, ...]) -> Any:
    """Return a key as JSON has it: a number or text, of several columns a list."""
    values = [
        int(text) if text is not None and column.data_type.kind in _INTEGERS else shortened(text)
        for text, column in zip(key, columns, strict=True)
    ]
    return values[0] if len(values) == 1 else values

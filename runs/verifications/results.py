"""Converts the result of a comparison to fields of a Verification: counts, warnings, and examples of bounded size."""

from __future__ import annotations

from os.path import commonprefix
from typing import TYPE_CHECKING, Any

from connections.sdk.schema import Column
from connections.sdk.types import NUMERIC_KINDS, Kind

if TYPE_CHECKING:  # only a comparison imports DuckDB and Arrow
    from runs.engine.verify.result import DifferentValue
    from runs.engine.verify.verify import VerificationResult

_INTEGERS = NUMERIC_KINDS - {Kind.DECIMAL, Kind.REAL, Kind.DOUBLE}
# characters of a value that are kept, and how many of these precede the first difference
_MAX_LENGTH, _BEFORE = 200, 50


def result_fields(result: VerificationResult) -> dict[str, Any]:
    """Return the fields of the verification."""
    comparison, columns = result.comparison, result.spec.key_columns
    return {
        "source_rows": comparison.source_rows,
        "dest_rows": comparison.dest_rows,
        "missing": comparison.counts.missing,
        "extra": comparison.counts.extra,
        "different": comparison.counts.different,
        "compared": {
            "since": result.since.value if result.since else None,
            "since_column": result.since.column if result.since else None,
            "sampled": result.sample is not None,
        },
        "warnings": list(result.warnings),
        "examples": {
            "missing": [_key(key.key, columns) for key in comparison.missing],
            "extra": [_key(key.key, columns) for key in comparison.extra],
            "different": [_different(value, columns) for value in comparison.different],
        },
    }


def _different(value: DifferentValue, columns: tuple[Column, ...]) -> dict[str, Any]:
    source, destination = value.source, value.destination
    start = 0
    if source is not None and destination is not None:
        start = excerpt_start(source, destination, length=_MAX_LENGTH, before=_BEFORE)
    return {
        "key": _key(value.key, columns),
        "column": value.column,
        "source": _shortened(source, start),
        "dest": _shortened(destination, start),
    }


def excerpt_start(left: str, right: str, *, length: int, before: int) -> int:
    """Return where excerpts of two values begin that show their first difference and ``before`` characters before it.

    It is 0 when neither value is longer than ``length``.
    """
    return max(len(commonprefix([left, right])) - before, 0) if max(len(left), len(right)) > length else 0


def excerpt(text: str, start: int, length: int) -> str:
    """Return ``length`` characters from ``start`` on, with an ellipsis where text is left out."""
    end = start + length
    return f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"


def _shortened(text: str | None, start: int = 0) -> str | None:
    """Return the text; if it is long, an excerpt and its length."""
    if text is None or len(text) <= _MAX_LENGTH:
        return text
    return f"{excerpt(text, start, _MAX_LENGTH)} ({len(text):,} characters)"


def _key(key: tuple[str | None, ...], columns: tuple[Column, ...]) -> Any:
    """Return a key for JSON: an integer or a text, or a list of these for several columns."""
    values = [
        int(text) if text is not None and column.data_type.kind in _INTEGERS else _shortened(text)
        for text, column in zip(key, columns, strict=True)
    ]
    return values[0] if len(values) == 1 else values

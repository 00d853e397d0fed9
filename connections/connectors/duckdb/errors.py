"""Translates errors of DuckDB, by their class."""

from __future__ import annotations

import duckdb

from connections.sdk import errors

_CORRECT_SQL = "Correct the SQL; its text is on the run."
_INVALID_VALUE = "Change the destination column's type, or correct the value in the query."
# the first class of which the error is an instance counts
_BY_CLASS: tuple[tuple[type[duckdb.Error], type[errors.PipekitError], str], ...] = (
    (duckdb.CatalogException, errors.TableMissing, "Check schema and table."),
    (duckdb.ConversionException, errors.InvalidValue, _INVALID_VALUE),
    (duckdb.OutOfRangeException, errors.InvalidValue, _INVALID_VALUE),
    (duckdb.ConstraintException, errors.InvalidValue, _INVALID_VALUE),
    (
        duckdb.TransactionException,
        errors.SerializationFailed,
        "The transaction conflicted with another one; run it again.",
    ),
    (duckdb.InterruptException, errors.Cancelled, ""),
    (duckdb.IOException, errors.ConnectionFailed, "Check the file and its disk."),
)


def from_duckdb(error: duckdb.Error, *, name: str) -> errors.PipekitError:
    """Return Pipekit's error for one of DuckDB's."""
    text, low = f"{label(name)} {error}", str(error).lower()
    for source_class, error_class, hint in _BY_CLASS:
        if isinstance(error, source_class):
            return error_class(text, hint=hint)
    if isinstance(error, duckdb.BinderException) and "column" in low:
        return errors.ColumnMissing(text, hint="Check the column's spelling against the table.")
    if "ambiguous reference to catalog" in low:
        return errors.QueryInvalid(text, hint="The file has the schema's name: write file.schema.table in the query.")
    return errors.QueryInvalid(text, hint=_CORRECT_SQL)


def label(name: str) -> str:
    """Return the beginning of a message: the name of the connection if it has one."""
    return f"{name or 'DuckDB'}:"

"""Translates errors of DuckDB, by their class."""

from __future__ import annotations

import duckdb

from connections.sdk import errors
from connections.sdk.sql.foreign_keys import ForeignKeyViolated

_CORRECT_SQL = "Correct the SQL; its text is on the run."
_INVALID_VALUE = "Change the destination column's type, or correct the value in the query."
# part of the message for a row that references a missing one
_REFERENCE_MISSING = "does not exist in the referenced table"
_LOAD_FIRST = (
    "Load the referenced table first. Rows that reference other rows of the same table cannot be loaded in one run with"
    " them, because each row is checked at once: drop such a foreign key."
)
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
    if isinstance(error, duckdb.ConstraintException) and "foreign key" in low:
        is_referencing = _REFERENCE_MISSING in low
        hint = _LOAD_FIRST if is_referencing else _INVALID_VALUE
        return ForeignKeyViolated(text, hint=hint, is_referencing=is_referencing)
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

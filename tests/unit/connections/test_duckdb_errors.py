"""Errors of DuckDB are classified by the class of the exception."""

from __future__ import annotations

import duckdb
import pytest

from connections.connectors.duckdb.errors import from_duckdb
from connections.sdk import errors
from connections.sdk.sql.foreign_keys import ForeignKeyViolated


@pytest.mark.parametrize(
    ("sql", "error_class"),
    [
        ("SELECT * FROM missing", errors.TableMissing),
        ("SELECT missing FROM t", errors.ColumnMissing),
        ("SELECT CAST('x' AS INTEGER)", errors.InvalidValue),
        ("SELECT 999::TINYINT", errors.InvalidValue),
        ("INSERT INTO t VALUES (NULL)", errors.InvalidValue),
        ("COMMIT", errors.SerializationFailed),
        ("SELECT * FROM read_csv('/nowhere/at/all.csv')", errors.ConnectionFailed),
        ("SELEC 1", errors.QueryInvalid),
    ],
)
def test_the_error_of_a_statement_is_classified(sql: str, error_class: type[errors.PipekitError]) -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t (a INTEGER NOT NULL)")
        with pytest.raises(duckdb.Error) as caught:
            connection.execute(sql)
    error = from_duckdb(caught.value, name="lake")
    assert type(error) is error_class
    assert error.message.startswith("lake: ") and error.hint


@pytest.mark.parametrize(
    ("sql", "is_referencing"), [("DELETE FROM parent", False), ("INSERT INTO child VALUES (2)", True)]
)
def test_the_violation_of_a_foreign_key_says_which_row_violates_it(sql: str, is_referencing: bool) -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE parent (k INTEGER PRIMARY KEY); INSERT INTO parent VALUES (1)")
        connection.execute("CREATE TABLE child (p INTEGER REFERENCES parent); INSERT INTO child VALUES (1)")
        with pytest.raises(duckdb.Error) as caught:
            connection.execute(sql)
    error = from_duckdb(caught.value, name="lake")
    assert isinstance(error, ForeignKeyViolated)
    assert (error.code, error.constraint, error.is_referencing) == ("value_misfit", "", is_referencing)

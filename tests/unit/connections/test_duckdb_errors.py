"""Errors of DuckDB are classified by the class of the exception."""

from __future__ import annotations

import duckdb
import pytest

from connections.connectors.duckdb.errors import from_duckdb
from connections.sdk import errors


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

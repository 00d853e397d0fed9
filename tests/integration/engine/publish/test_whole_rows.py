"""Append with a watermark compares whole rows: exactly, and with any number of columns."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import pytest

from connections import registry
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Session
from connections.sdk.schema import TableName
from connections.sdk.sql.publishing import NO_COLLATIONS, PublishingDialect
from runs.engine.plan import Strategy
from tests.harness.bench import Bench

pytestmark = [pytest.mark.matrix, pytest.mark.usefixtures("transfer_in_process")]

KINDS = ["sqlite", "duckdb", "postgresql"]
TARGET, STAGING = TableName("", "target"), TableName("", "staging")
# any two of these make rows that must not be considered equal
TEXTS = [None, "", "NULL", "'", "''", ",", "','", "a", "A", "a ", "\\", '"', '""', "(", "a,b", "a','b", "NULL,NULL"]
# the maximum number of columns of a table, or a large number where there is no maximum
WIDEST = {"sqlite": 2000, "duckdb": 600, "postgresql": 1600}


@contextmanager
def _tables(
    parameters: ConnectionParameters,
    columns: Sequence[tuple[str, str]],
    *,
    collations: Mapping[str, str] = NO_COLLATIONS,
) -> Iterator[Session]:
    connector = registry.connector(parameters.kind)
    session = connector.connect(parameters)
    try:
        for table in (TARGET, STAGING):
            session.execute(_dialect(parameters).create_table(table, list(columns), collations=collations))
        yield session
    finally:
        session.close()


def _dialect(parameters: ConnectionParameters) -> PublishingDialect:
    dialect = registry.dialect(parameters.kind)
    assert isinstance(dialect, PublishingDialect)
    return dialect


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_equal_only_if_all_their_values_are(
    warehouse_of: Callable[[str], ConnectionParameters], kind: str
) -> None:
    parameters = warehouse_of(kind)
    dialect, columns = _dialect(parameters), ("a", "b", "n")
    pairs = list(itertools.product(TEXTS, TEXTS))
    marks = ", ".join([dialect.placeholder] * 2)
    collations = {"a": "NOCASE"} if kind != "postgresql" else {}
    types = [("a", "varchar(20)"), ("b", "varchar(20)"), ("n", "integer")]
    with _tables(parameters, types, collations=collations) as session:
        with session.transaction():
            for pair in pairs:
                session.execute(f"INSERT INTO staging VALUES ({marks}, 1)", pair)
        # one row exists already, its duplicate does not
        session.execute("INSERT INTO staging VALUES ('a', 'a', 1)")
        session.execute("INSERT INTO target VALUES ('a', 'a', 1), (NULL, NULL, 1)")
        sql = dialect.insert_missing_copies(TARGET, STAGING, columns, "n")
        assert session.execute(sql) == len(pairs) - 1
        assert session.execute(sql) == 0
        rows = session.fetch("SELECT a, b FROM target")
    assert sorted(rows, key=repr) == sorted([*pairs, ("a", "a")], key=repr)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_with_the_maximum_number_of_columns_are_compared(
    warehouse_of: Callable[[str], ConnectionParameters], kind: str
) -> None:
    parameters, columns = warehouse_of(kind), tuple(f"c{number}" for number in range(WIDEST[kind]))
    with _tables(parameters, [(name, "smallint") for name in columns]) as session:
        for table, first in (("target", 1), ("staging", 1), ("staging", 2)):
            session.execute(f"INSERT INTO {table} VALUES ({first}{', 7' * (len(columns) - 1)})")
        session.execute(_dialect(parameters).insert_missing_copies(TARGET, STAGING, columns, "c0"))
        assert session.fetch("SELECT c0 FROM target ORDER BY 1") == [(1,), (2,)]


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_rows_are_appended_to_a_wide_table_in_several_runs(bench_to: Callable[[str], Bench], kind: str) -> None:
    bench = bench_to(kind)
    bench.at_source(f"CREATE TABLE s (id integer, {', '.join(f'c{number} smallint' for number in range(999))})")
    bench.at_source("INSERT INTO s (id, c5) VALUES (1, 7), (2, NULL)")
    plan = bench.plan(
        "SELECT * FROM s", dest_table=TableName("main", "t"), strategy=Strategy.APPEND, watermark="id", overlap="5"
    )
    assert bench.run(plan).counts == (2, 0, 0)
    bench.at_source("INSERT INTO s (id, c5) VALUES (3, 7), (2, NULL)")
    assert bench.run(plan).counts == (2, 0, 0)
    assert bench.rows("SELECT id, c5 FROM t ORDER BY 1") == [(1, 7), (2, None), (2, None), (3, 7)]


@pytest.mark.parametrize("kind", ["sqlite", "h2", "clickhouse", "oracle"])
def test_the_expression_of_a_wide_row_has_no_long_chain_and_no_deep_nesting(kind: str) -> None:
    dialect = registry.dialect(kind)
    assert isinstance(dialect, PublishingDialect)
    open_chains, longest, deepest = [0], 0, 0
    for sign in re.findall(r"[()]|\|\|", dialect.row_text(tuple(f"c{number}" for number in range(1000)), "s")):
        if sign == "(":
            open_chains.append(0)
        elif sign == ")":
            open_chains.pop()
        else:
            open_chains[-1] += 1
        longest, deepest = max(longest, open_chains[-1]), max(deepest, len(open_chains))
    assert longest < 100
    assert deepest < 20

"""Resolvers, dry runs and source queries cannot write, on any of the three systems."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from connections import registry
from connections.sdk.errors import PermissionDenied, PipekitError, QueryInvalid
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableName
from runs.engine.plan import NamedWatermark
from tests.harness.bench import Bench, fetch

pytestmark = pytest.mark.usefixtures("transfer_in_process")

KINDS = ("postgresql", "sqlite", "duckdb")


@pytest.fixture
def target(request: pytest.FixtureRequest, tmp_path: Path) -> ConnectionParameters:
    """Create an empty table `t` and a table `one` of one row in a system of the kind."""
    kind = request.param
    if kind == "postgresql":
        parameters: ConnectionParameters = request.getfixturevalue("warehouse")
    else:
        parameters = ConnectionParameters(
            kind=kind, url=f"jdbc:{kind}:{tmp_path}/target.{kind}", options={"create": True}, name="target"
        )
    bench = Bench(parameters, parameters)
    bench.at_source("CREATE TABLE t (a integer)", "CREATE TABLE one (a integer)", "INSERT INTO one VALUES (7)")
    if kind != "sqlite":
        bench.at_source("CREATE SEQUENCE numbers")
    return parameters


WRITES = {
    "every": [
        "INSERT INTO t VALUES (1) RETURNING a",
        "SELECT a FROM one; INSERT INTO t VALUES (1)",
        "INSERT INTO t VALUES (1); SELECT a FROM one",
        "DELETE FROM one RETURNING a",
        "UPDATE one SET a = 8 RETURNING a",
        "CREATE TABLE made AS SELECT 1 AS a",
        "BEGIN; INSERT INTO t VALUES (1); COMMIT; SELECT a FROM one",
        "COMMIT; INSERT INTO t VALUES (1)",
        "ROLLBACK; INSERT INTO t VALUES (1)",
    ],
    "postgresql": [
        "WITH w AS (INSERT INTO t VALUES (1) RETURNING a) SELECT a FROM w",
        "SET TRANSACTION READ WRITE; INSERT INTO t VALUES (1); SELECT a FROM one",
        "SELECT set_config('transaction_read_only', 'off', false); INSERT INTO t VALUES (1)",
        "SELECT nextval('numbers')",
        "COPY (SELECT 1) TO PROGRAM 'touch {marker}'",
        "COPY t FROM PROGRAM 'touch {marker}; echo 1'",
        "DO $$ BEGIN INSERT INTO t VALUES (1); END $$",
        "SELECT a FROM one) TO STDOUT; INSERT INTO t VALUES (1); COPY (SELECT a FROM one",
        "CALL write_a_row()",
        "SELECT written()",
    ],
    "sqlite": [
        "PRAGMA query_only = OFF; INSERT INTO t VALUES (1)",
        "PRAGMA user_version = 9",
        "ATTACH '{marker}' AS x",
        "VACUUM INTO '{marker}'",
        "WITH w AS (SELECT 1) INSERT INTO t SELECT * FROM w RETURNING a",
    ],
    "duckdb": [
        "SELECT nextval('numbers')",
        "COPY one TO '{marker}'",
        "ATTACH '{marker}' AS x",
        "EXPLAIN ANALYZE INSERT INTO t VALUES (1)",
        "SET threads = 1",
    ],
}


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("target", KINDS, indirect=True)
def test_a_resolver_cannot_write(target: ConnectionParameters, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    tmp_path.chmod(0o777)
    bench = Bench(target, target)
    if target.kind == "postgresql":
        bench.at_source(
            "CREATE PROCEDURE write_a_row() LANGUAGE sql AS 'INSERT INTO t VALUES (1)'",
            "CREATE FUNCTION written() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING a'",
        )
    plan = bench.plan(
        "SELECT a AS a FROM one WHERE a > {since}",
        dest_table=TableName("main" if target.kind == "duckdb" else "", "d"),
        dry_run=True,
    )
    for sql in (*WRITES["every"], *WRITES[target.kind]):
        resolver = sql.format(marker=marker)
        since = NamedWatermark(name="since", connection=target, resolver_sql=resolver, default="0")
        with pytest.raises((QueryInvalid, PermissionDenied)) as caught:
            bench.run(replace(plan, named_watermarks=(since,)))
        assert caught.value.hint, sql
        assert (fetch(target, "SELECT a FROM t"), fetch(target, "SELECT a FROM one")) == ([], [(7,)]), sql
        assert not marker.exists(), sql


@pytest.mark.parametrize("target", KINDS, indirect=True)
def test_a_resolver_returns_its_first_row(target: ConnectionParameters) -> None:
    session = registry.connector(target.kind).connect(target)
    try:
        for ending in ("", ";", " ; -- the end", "\n-- a comment ;"):
            query = f"WITH w AS (SELECT a FROM one) SELECT max(a), 'x;%s' FROM w{ending}"
            assert session.fetch_read_only(query) == (7, "x;%s")
        assert session.fetch_read_only("SELECT a FROM t") is None
        with pytest.raises(PipekitError):
            session.fetch_read_only("SELECT nothing FROM one")
        # the session can still write
        session.execute("INSERT INTO t VALUES (2)")
    finally:
        session.close()
    assert fetch(target, "SELECT a FROM t") == [(2,)]


@pytest.mark.parametrize("target", ["sqlite"], indirect=True)
def test_a_session_used_by_a_resolver_cannot_attach_another_file(target: ConnectionParameters, tmp_path: Path) -> None:
    session = registry.connector(target.kind).connect(target)
    try:
        assert session.fetch_read_only("SELECT a FROM one") == (7,)
        with pytest.raises(PipekitError):
            session.fetch_read_only("SELECT nothing FROM one")
        with pytest.raises(PermissionDenied):
            session.execute(f"ATTACH '{tmp_path}/other.db' AS other")
    finally:
        session.close()
    assert not (tmp_path / "other.db").exists()


@pytest.mark.parametrize("target", KINDS, indirect=True)
def test_a_resolver_fails_with_a_pipekit_error_if_its_session_is_closed(target: ConnectionParameters) -> None:
    session = registry.connector(target.kind).connect(target)
    session.close()
    with pytest.raises(PipekitError):
        session.fetch_read_only("SELECT a FROM one")


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("target", KINDS, indirect=True)
def test_describing_a_source_query_does_not_execute_a_second_statement(target: ConnectionParameters) -> None:
    connector = registry.connector(target.kind)
    for sql in (sql for sql in WRITES["every"] if ";" in sql):
        session = connector.connect(target)
        try:
            with pytest.raises(PipekitError):
                connector.introspector.describe_query(session, sql)
        finally:
            session.close()
        assert fetch(target, "SELECT a FROM t") == [], sql


JRUNNER_WRITES = [("duckdb", "SELECT a FROM one; INSERT INTO t VALUES (1)")]
JRUNNER_WRITES += [("postgresql", "WITH w AS (INSERT INTO t VALUES (1) RETURNING a) SELECT a FROM w")]
JRUNNER_WRITES += [("postgresql", "SELECT written() AS a"), ("sqlite", "SELECT a FROM one; INSERT INTO t VALUES (1)")]


@pytest.mark.matrix
@pytest.mark.parametrize(("target", "sql"), JRUNNER_WRITES, indirect=["target"])
def test_jrunner_with_a_query_file_cannot_write(target: ConnectionParameters, sql: str, tmp_path: Path) -> None:
    if target.kind == "postgresql":
        Bench(target, target).at_source(
            "CREATE FUNCTION written() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING a'"
        )
    query = tmp_path / "query.sql"
    query.write_text(sql)
    command = [sys.executable, "-m", "runs.jrunner", "-scu", target.url, "-sq", str(query), "-f", "csv"]
    process = subprocess.run(command, capture_output=True, text=True, timeout=120, env=dict(os.environ))
    assert process.returncode != 0
    assert fetch(replace(target), "SELECT a FROM t") == []

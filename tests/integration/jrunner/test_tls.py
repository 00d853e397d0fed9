"""Transfers from and to a PostgreSQL server that is reached over TLS, in which only asyncio's transport can send."""

from __future__ import annotations

from pathlib import Path

import pytest

from connections.connectors.postgresql.copy import reader
from tests.harness.small_databases import System, job, sqlite, transfer_rows

ROWS = 50_000
SUMS = "SELECT count(*), sum(n), sum(v), sum(length(w)) FROM {}"


@pytest.mark.matrix
def test_rows_arrive_over_tls_from_and_to_postgresql(
    tls_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MANY_VALUES", 0)
    server, file = System("postgresql", tls_server), sqlite(tmp_path / "t.sqlite")
    columns = "(n integer, v decimal(15,2), w text)"
    server.execute(*(f"CREATE TABLE {table} {columns}" for table in ("s", "t", "u")))
    server.execute(f"INSERT INTO s SELECT n, n * 0.25, repeat('ä', n % 100) FROM generate_series(1, {ROWS}) n")
    file.execute(f"CREATE TABLE t {columns}")
    assert server.rows("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == [(True,)]

    routes = [
        transfer_rows(job(server, "SELECT * FROM s", file))[0],
        transfer_rows(job(file, "SELECT * FROM t", server))[0],
        transfer_rows(job(server, "SELECT * FROM s", server, table="u"))[0],
    ]
    assert routes == ["arrow", "arrow", "raw"]
    (sums,) = server.rows(SUMS.format("s"))
    assert sums[0] == ROWS
    assert server.rows(SUMS.format("t")) == server.rows(SUMS.format("u")) == [sums]
    assert server.rows("SELECT count(*) FROM (TABLE s EXCEPT TABLE t) x") == [(0,)]

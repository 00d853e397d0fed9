"""DuckDB's memory limit in transfers: low, but raised for wide tables and large values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from connections.sdk.errors import PipekitError
from tests.harness.small_databases import System, duckdb, job, transfer_rows

pytestmark = pytest.mark.matrix

_VALUE_MEGABYTES = 40


@pytest.fixture
def lake(tmp_path: Path) -> System:
    lake = duckdb(tmp_path / "lake.duckdb")
    lake.execute(f"CREATE TABLE s AS SELECT i AS n, repeat('x', {_VALUE_MEGABYTES}000000) AS v FROM range(3) x(i)")
    return lake


def test_values_of_40_megabytes_are_transferred(lake: System, tmp_path: Path) -> None:
    copy = duckdb(tmp_path / "copy.duckdb")
    copy.execute("CREATE TABLE t (n BIGINT, v VARCHAR)")
    transfer_rows(job(lake, "SELECT * FROM s", copy))
    assert copy.rows("SELECT n, length(v) FROM t ORDER BY n") == [(n, _VALUE_MEGABYTES * 1_000_000) for n in range(3)]


def test_a_configured_memory_limit_is_kept_and_named_in_the_error(lake: System, tmp_path: Path) -> None:
    copy = duckdb(tmp_path / "copy.duckdb")
    copy.execute("CREATE TABLE t (n BIGINT, v VARCHAR)")
    work = job(lake, "SELECT * FROM s", copy)
    limited = replace(work.source, options={**work.source.options, "memory_limit": "64MB"})
    with pytest.raises(PipekitError) as caught:
        transfer_rows(replace(work, source=limited))
    assert "memory_limit" in caught.value.hint
    assert copy.rows("SELECT count(*) FROM t") == [(0,)]


def test_a_table_of_600_columns_is_transferred(tmp_path: Path) -> None:
    lake, copy = duckdb(tmp_path / "lake.duckdb"), duckdb(tmp_path / "copy.duckdb")
    names = [f"c{number}" for number in range(600)]
    lake.execute(f"CREATE TABLE s AS SELECT {', '.join(f'i + {n[1:]} AS {n}' for n in names)} FROM range(5000) x(i)")
    copy.execute(f"CREATE TABLE t ({', '.join(f'{name} BIGINT' for name in names)})")
    transfer_rows(job(lake, "SELECT * FROM s", copy))
    assert copy.rows("SELECT count(*), sum(c0), sum(c599) FROM t") == lake.rows(
        "SELECT count(*), sum(c0), sum(c599) FROM s"
    )

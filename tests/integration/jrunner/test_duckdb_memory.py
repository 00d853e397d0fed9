"""DuckDB is kept small while rows move, and is given more where a table's columns or values need it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from connections.sdk.errors import PipekitError
from tests.benches.small_databases import System, duckdb, job, moved

_MEGABYTES = 40


@pytest.fixture
def huge(tmp_path: Path) -> System:
    lake = duckdb(tmp_path / "lake.duckdb")
    lake.execute(f"CREATE TABLE s AS SELECT i AS n, repeat('x', {_MEGABYTES}000000) AS v FROM range(3) x(i)")
    return lake


def test_huge_values_pass(huge: System, tmp_path: Path) -> None:
    copy = duckdb(tmp_path / "copy.duckdb")
    copy.execute("CREATE TABLE t (n BIGINT, v VARCHAR)")
    moved(job(huge, "SELECT * FROM s", copy))
    assert copy.rows("SELECT n, length(v) FROM t ORDER BY n") == [(n, _MEGABYTES * 1_000_000) for n in range(3)]


def test_a_limit_of_the_user_s_own_is_kept_and_said(huge: System, tmp_path: Path) -> None:
    copy = duckdb(tmp_path / "copy.duckdb")
    copy.execute("CREATE TABLE t (n BIGINT, v VARCHAR)")
    work = job(huge, "SELECT * FROM s", copy)
    limited = replace(work.source, options={**work.source.options, "memory_limit": "64MB"})
    with pytest.raises(PipekitError) as caught:
        moved(replace(work, source=limited))
    assert "memory_limit" in caught.value.hint
    assert copy.rows("SELECT count(*) FROM t") == [(0,)]


def test_a_table_of_very_many_columns_passes(tmp_path: Path) -> None:
    lake, copy = duckdb(tmp_path / "lake.duckdb"), duckdb(tmp_path / "copy.duckdb")
    names = [f"c{number}" for number in range(600)]
    lake.execute(f"CREATE TABLE s AS SELECT {', '.join(f'i + {n[1:]} AS {n}' for n in names)} FROM range(5000) x(i)")
    copy.execute(f"CREATE TABLE t ({', '.join(f'{name} BIGINT' for name in names)})")
    moved(job(lake, "SELECT * FROM s", copy))
    assert copy.rows("SELECT count(*), sum(c0), sum(c599) FROM t") == lake.rows(
        "SELECT count(*), sum(c0), sum(c599) FROM s"
    )

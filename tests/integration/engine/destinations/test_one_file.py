"""Source and destination in one SQLite or DuckDB file, which their connections may spell differently."""

from __future__ import annotations

from pathlib import Path

import pytest

from connections.sdk.parameters import ConnectionParameters
from runs.engine.plan import Strategy
from tests.harness.bench import Bench
from tests.harness.verification import counts, run_verification, table_of

pytestmark = pytest.mark.usefixtures("transfer_in_process")

SPELLINGS = [
    *(("duckdb", spelling) for spelling in ("./shop.db", "linked/shop.db", "symlink.db")),
    ("sqlite", "linked/shop.db"),
]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "linked").symlink_to(tmp_path)
    (tmp_path / "symlink.db").symlink_to(tmp_path / "shop.db")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("kind", "spelling"), SPELLINGS)
def test_a_file_is_its_own_destination_however_its_path_is_spelled(directory: Path, kind: str, spelling: str) -> None:
    def connection(path: object) -> ConnectionParameters:
        return ConnectionParameters(kind=kind, url=f"jdbc:{kind}:{path}", options={"create": True}, name="shop")

    bench = Bench(connection(directory / "shop.db"), connection(spelling))
    bench.at_source(
        "CREATE TABLE s (id integer, name text)",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)"
        " INSERT INTO s SELECT i, 'the name of the row with the number ' || i FROM n",
    )
    query = "SELECT id, name FROM s"
    plan = bench.plan(query, strategy=Strategy.UPSERT, merge_key=("id",))
    assert bench.run(plan).counts == (300, 0, 0)
    bench.at_source("UPDATE s SET name = 'new' WHERE id = 7")
    assert counts(run_verification(bench, query)) == (0, 0, 1)
    assert bench.run(plan).counts == (0, 300, 0)
    assert bench.rows(f"SELECT count(*), count(CASE WHEN name = 'new' THEN 1 END) FROM {table_of(bench)}") == [(300, 1)]

"""A full disk at the destination, during the transfer or the publish: the run fails and the table is unchanged.

The disk is a tmpfs with a tablespace on it, so these tests need permission to mount.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from connections.sdk.errors import PipekitError
from connections.sdk.parameters import ConnectionParameters
from runs.engine import events
from runs.engine.plan import FullPublish, Plan, Strategy
from tests.faults.changing_source import table_bytes
from tests.faults.disks.small_disks import mounted
from tests.harness.bench import Bench

QUERY = "SELECT k, v FROM s"
SMALL, LARGE = "24m", "200m"
# numbers of rows of about a kilobyte: staging alone fills the disk, or only staging and table together
IN_TRANSFER, IN_PUBLISH = 40_000, 14_000

# each test mounts a disk
pytestmark = pytest.mark.matrix


@pytest.fixture
def disk(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A small disk, or one of the size that the test is parametrized with."""
    with mounted(getattr(request, "param", SMALL)) as directory:
        yield directory


@pytest.fixture
def warehouse(postgresql_server: str, disk: Path) -> Iterator[ConnectionParameters]:
    """A destination whose tables, including staging, are on the disk; the server's write-ahead log is not."""
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        data = Path(connection.info.host)
        owner = data.stat()
        os.chown(disk, owner.st_uid, owner.st_gid)
        connection.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
        connection.execute("CREATE DATABASE cramped")
        connection.execute("ALTER DATABASE cramped SET default_tablespace = small")
        url = urlunsplit(urlsplit(postgresql_server)._replace(path="/cramped"))
        try:
            yield ConnectionParameters(kind="postgresql", url=url, name="warehouse")
        finally:
            connection.execute("DROP DATABASE cramped WITH (FORCE)")
            connection.execute("DROP TABLESPACE small")


def fill(bench: Bench, rows: int) -> None:
    """Insert this many rows into the source; their texts hardly compress."""
    text = " || ".join(f"md5(n::text || {part})" for part in range(30))
    bench.at_source(f"INSERT INTO s SELECT n, {text} FROM generate_series(1001, {1000 + rows}) n")


@pytest.fixture
def numbers(pg_bench: Bench, disk: Path) -> Bench:
    pg_bench.at_source(
        "CREATE TABLE s (k int PRIMARY KEY, v text)", "INSERT INTO s SELECT n, 'v' || n FROM generate_series(1, 100) n"
    )
    pg_bench.run(pg_bench.plan(QUERY))
    return pg_bench


def failure(bench: Bench, plan: Plan) -> PipekitError | None:
    try:
        bench.run(plan)
    except PipekitError as error:
        return error
    return None


def run_out_of_space(bench: Bench, strategy: Strategy, rows: int) -> None:
    """Run with more rows than the disk can hold; check that the run failed because the disk was full."""
    fill(bench, rows)
    error = failure(bench, bench.plan(QUERY, **settings(strategy)))
    assert error is not None, "the disk was not full"
    assert (error.code, error.retryable) == ("disk_full", False), error.message
    assert "53100" in error.detail


def settings(strategy: Strategy) -> dict[str, object]:
    key = ("k",) if strategy in (Strategy.INCREMENTAL, Strategy.UPSERT) else ()
    return {
        "strategy": strategy,
        "merge_key": key,
        "watermark": "k" if strategy is Strategy.APPEND else "",
        # an exchange of tables needs no space in the publish
        "full_publish": FullPublish.TRUNCATE,
    }


@pytest.mark.parametrize("rows", [IN_TRANSFER, IN_PUBLISH])
@pytest.mark.parametrize(
    "strategy",
    [
        Strategy.FULL,
        pytest.param(Strategy.INCREMENTAL, marks=pytest.mark.matrix),
        pytest.param(Strategy.APPEND, marks=pytest.mark.matrix),
        Strategy.UPSERT,
    ],
)
def test_a_full_disk_leaves_the_table_unchanged_and_the_next_run_publishes_everything(
    numbers: Bench, strategy: Strategy, rows: int
) -> None:
    before = table_bytes(numbers)
    run_out_of_space(numbers, strategy, rows)
    assert numbers.failed.last(events.StepStarted).step == ("transfer" if rows == IN_TRANSFER else "publish")
    assert table_bytes(numbers) == before
    numbers.at_source("DELETE FROM s WHERE k > 1005")
    numbers.run(numbers.plan(QUERY, **settings(strategy)))
    with psycopg.connect(numbers.source.url) as source:
        assert (
            numbers.rows("SELECT k, md5(v) FROM sync.t ORDER BY k")
            == source.execute("SELECT k, md5(v) FROM s ORDER BY k").fetchall()
        )


@pytest.mark.parametrize("disk", [LARGE], indirect=True)
def test_the_check_for_a_full_disk_fails_if_the_disk_is_large_enough(numbers: Bench) -> None:
    with pytest.raises(AssertionError, match="the disk was not full"):
        run_out_of_space(numbers, Strategy.FULL, IN_TRANSFER)
    assert numbers.rows("SELECT count(*) FROM sync.t") == [(100 + IN_TRANSFER,)]

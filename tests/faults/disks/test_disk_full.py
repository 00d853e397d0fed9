"""The destination's disk is full, in the transfer and in the publish: one clear error, the table as it was.

The disk is a tmpfs with a tablespace on it, so these need the right to mount.
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
from runs.engine.plan import Plan, Strategy
from tests.benches.bench import Bench
from tests.faults.changing_source import bytes_of
from tests.faults.disks.small_disks import mounted

QUERY = "SELECT k, v FROM s"
SMALL, LARGE = "24m", "200m"
# about a kilobyte a row: the first fills the disk with staging, the second only with staging and table together
IN_TRANSFER, IN_PUBLISH = 40_000, 14_000

# a small disk is mounted for each
pytestmark = pytest.mark.matrix


@pytest.fixture
def disk(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A small disk of its own, or a large one for tests that ask."""
    with mounted(getattr(request, "param", SMALL)) as directory:
        yield directory


@pytest.fixture
def warehouse(postgresql_server: str, disk: Path) -> Iterator[ConnectionParameters]:
    """A destination whose tables, staging included, are on that disk; the server's log of changes is not."""
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
    """Add to the source so many rows that do not compress away."""
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


def too_big(bench: Bench, strategy: Strategy, rows: int) -> None:
    """Run with a source that the disk cannot hold; prove that it was the disk that ended it."""
    fill(bench, rows)
    caught = failure(bench, bench.plan(QUERY, **settings(strategy)))
    assert caught is not None, "the disk was not full"
    assert (caught.code, caught.retryable) == ("disk_full", False), caught.message
    assert "53100" in caught.detail


def settings(strategy: Strategy) -> dict[str, object]:
    key = ("k",) if strategy in (Strategy.INCREMENTAL, Strategy.UPSERT) else ()
    return {"strategy": strategy, "merge_key": key, "watermark": "k" if strategy is Strategy.APPEND else ""}


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
def test_a_full_disk_leaves_the_table_as_it_was_and_the_next_run_is_right(
    numbers: Bench, strategy: Strategy, rows: int
) -> None:
    before = bytes_of(numbers)
    too_big(numbers, strategy, rows)
    assert numbers.failed.last(events.StepStarted).step == ("transfer" if rows == IN_TRANSFER else "publish")
    assert bytes_of(numbers) == before
    numbers.at_source("DELETE FROM s WHERE k > 1005")
    numbers.run(numbers.plan(QUERY, **settings(strategy)))
    with psycopg.connect(numbers.source.url) as source:
        assert (
            numbers.rows("SELECT k, md5(v) FROM sync.t ORDER BY k")
            == source.execute("SELECT k, md5(v) FROM s ORDER BY k").fetchall()
        )


@pytest.mark.parametrize("disk", [LARGE], indirect=True)
def test_on_a_disk_that_is_large_enough_there_is_no_proof(numbers: Bench) -> None:
    with pytest.raises(AssertionError, match="the disk was not full"):
        too_big(numbers, Strategy.FULL, IN_TRANSFER)
    assert numbers.rows("SELECT count(*) FROM sync.t") == [(100 + IN_TRANSFER,)]

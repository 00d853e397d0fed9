"""Rows that change during the comparison: a row that was never read as equal counts as different."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pyarrow as pa
import pytest

from connections import registry
from runs.engine.verify.differences import DifferenceCounts, Differences
from tests.harness.bench import Bench
from tests.harness.verification import counts, run_verification

pytestmark = [pytest.mark.matrix, pytest.mark.usefixtures("transfer_in_process")]

QUERY = "SELECT id AS id, v AS v FROM s"


@pytest.mark.parametrize("source", ["postgresql", pytest.param("sqlite")])
def test_a_row_that_keeps_changing_and_is_never_equal_counts_as_different(
    between: Callable[[str, str], Bench], source: str
) -> None:
    pair = between(source, "postgresql")
    rows = "INSERT INTO {} VALUES (1, 0), (2, 0), (3, 0)"
    pair.at_source("CREATE TABLE s (id integer, v integer)", rows.format("s"))
    pair.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.t (id integer, v integer)", rows.format("sync.t"))
    pair.at_destination("UPDATE sync.t SET v = 9 WHERE id = 3")
    stop = threading.Event()

    def count_up() -> None:
        session = registry.connector("postgresql").connect(pair.destination)
        while not stop.is_set():
            session.execute("UPDATE sync.t SET v = v + 1 WHERE id = 2")
        session.close()

    pair.at_destination("UPDATE sync.t SET v = 1 WHERE id = 2")
    thread = threading.Thread(target=count_up)
    thread.start()
    try:
        result = run_verification(pair, QUERY)
    finally:
        stop.set()
        thread.join()
    assert counts(result) == (0, 0, 2)
    assert [value.key for value in result.comparison.different] == [("2",), ("3",)]


def rows(*values: tuple[int, int]) -> list[pa.RecordBatch]:
    keys, hashes = zip(*values, strict=True)
    texts = pa.array([str(key) for key in keys])
    return [pa.record_batch([pa.array(keys), pa.array(hashes), texts], names=["key_hash", "row_hash", "k0"])]


def test_a_row_that_was_equal_in_an_earlier_read_is_reported_as_changing() -> None:
    with Differences(1) as differences:
        for source, destination in (
            (((1, 10), (2, 10)), ((1, 11), (2, 10))),
            (((1, 10), (2, 10)), ((1, 12), (2, 11))),
        ):
            differences.add("source", rows(*source))
            differences.add("destination", rows(*destination))
            differences.finish_read()
        assert differences.unstable() == 2
        assert differences.counts() == DifferenceCounts(different=1, changing=1)
        assert [key.key for key in differences.keys("different", limit=9)] == [("1",)]

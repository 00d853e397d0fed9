"""Rows that change while they are compared are not counted as different."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from connections import registry
from tests.runs.engine.bench import Bench
from tests.runs.engine.verify.comparing import counts, verified

pytestmark = pytest.mark.usefixtures("transfer_in_process")

QUERY = "SELECT id AS id, v AS v FROM s"


@pytest.mark.parametrize("source", ["postgresql", pytest.param("sqlite", marks=pytest.mark.matrix)])
def test_a_row_that_keeps_changing_is_reported_and_not_counted(
    between: Callable[[str, str], Bench], source: str
) -> None:
    pair = between(source, "postgresql")
    rows = "INSERT INTO {} VALUES (1, 0), (2, 0), (3, 0)"
    pair.at_source("CREATE TABLE s (id integer, v integer)", rows.format("s"))
    pair.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.t (id integer, v integer)", rows.format("sync.t"))
    pair.at_destination("UPDATE sync.t SET v = 9 WHERE id = 3")
    over = threading.Event()

    def count_up() -> None:
        session = registry.connector("postgresql").connect(pair.destination)
        while not over.is_set():
            session.execute("UPDATE sync.t SET v = v + 1 WHERE id = 2")
        session.close()

    pair.at_destination("UPDATE sync.t SET v = 1 WHERE id = 2")
    thread = threading.Thread(target=count_up)
    thread.start()
    try:
        found = verified(pair, QUERY)
    finally:
        over.set()
        thread.join()
    assert counts(found) == (0, 0, 1)
    assert [value.key for value in found.outcome.different] == [("3",)]
    assert found.outcome.counts.changing == 1
    assert any("1 keys kept changing" in warning for warning in found.warnings)

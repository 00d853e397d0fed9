"""`restoremodule`: a run that puts the former table back, and why it cannot."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from modules.models import Module
from tests.harness.bench import Bench
from tests.processes.commands import call

Save = Callable[..., Module]


@pytest.fixture
def swapped(bench: Bench, save_module: Save) -> Bench:
    """The module `orders`, whose second run has replaced the rows 1 and 2 by the row 3."""
    bench.at_source("CREATE TABLE s (k INTEGER)", "INSERT INTO s VALUES (1), (2)")
    save_module("orders", "SELECT k AS k FROM s")
    assert call("runmodule", "orders", "--quiet").code == 0
    bench.at_source("DELETE FROM s", "INSERT INTO s VALUES (3)")
    result = call("runmodule", "orders", "--json")
    assert (result.json["publish_method"], result.json["restore"]) == ("swap", False)
    assert result.json["kept_bytes"] > 0
    return bench


def rows(bench: Bench) -> list[int]:
    return [k for (k,) in bench.rows("SELECT k FROM sync.orders ORDER BY k")]


def test_the_former_table_is_restored_by_a_run(swapped: Bench) -> None:
    result = call("restoremodule", "orders", "--json")
    assert result.code == 0, result.err
    run = result.json
    assert (run["status"], run["restore"], run["read"]) == ("success", True, None)
    assert (run["inserted"], run["updated"], run["deleted"]) == (2, 0, 1)
    assert "RENAME TO" in run["merge_sql"]
    assert rows(swapped) == [1, 2]
    assert "restore" in call("runs").out
    again = call("restoremodule", "orders")
    assert again.code == 1 and "No former table of orders is kept" in again.err


def test_a_table_that_was_written_to_since_is_refused(swapped: Bench) -> None:
    swapped.at_destination("INSERT INTO sync.orders VALUES (4)")
    result = call("restoremodule", "orders", "--json")
    assert (result.code, result.json["status"], result.json["effect"]) == (8, "refused", "unchanged")
    assert rows(swapped) == [3, 4]


@pytest.mark.django_db
def test_an_unknown_module_exits_with_3() -> None:
    assert call("restoremodule", "nope").code == 3

"""Key sync deletes the rows that the source no longer has, within its limits."""

from __future__ import annotations

import pytest

from connections.sdk.errors import PipekitError, Refused
from runs.engine import events
from runs.engine.plan import Limits, Strategy
from tests.harness.bench import Bench
from tests.integration.engine.publish.numbers import plan_for, stored_rows

pytestmark = pytest.mark.usefixtures("transfer_in_process")


def test_key_sync_deletes_rows_that_the_source_no_longer_has(numbers: Bench) -> None:
    plan = plan_for(numbers, Strategy.INCREMENTAL, watermark="k", key_sync=True)
    numbers.run(plan)
    numbers.at_source("DELETE FROM s WHERE k IN (3, 5)", "INSERT INTO s VALUES (200, 'new')")
    result = numbers.run(plan)
    assert result.last(events.Reconciled).deleted == 2
    assert numbers.rows("SELECT count(*), count(*) FILTER (WHERE k IN (3, 5)) FROM sync.t") == [(99, 0)]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("DELETE FROM s", "no keys at all"),
        ("DELETE FROM s WHERE k <= 20", "would delete 20 of the 100 rows"),
    ],
)
def test_key_sync_refuses_to_delete_too_much(numbers: Bench, damage: str, message: str) -> None:
    plan = plan_for(numbers, Strategy.INCREMENTAL, watermark="k", key_sync=True)
    numbers.run(plan)
    before = stored_rows(numbers)
    numbers.at_source(damage)
    with pytest.raises(Refused, match=message):
        numbers.run(plan)
    assert stored_rows(numbers) == before


def test_key_sync_with_null_keys_deletes_nothing(numbers: Bench) -> None:
    plan = plan_for(
        numbers, Strategy.INCREMENTAL, watermark="k", key_sync=True, key_sync_query="SELECT NULLIF(k, 1) AS k FROM s"
    )
    with pytest.raises(PipekitError, match="1 keys of the source are NULL"):
        numbers.run(plan)
    assert numbers.rows("SELECT count(*) FROM sync.t") == [(100,)]


def test_a_failing_key_query_deletes_nothing_and_keeps_the_loaded_rows(numbers: Bench) -> None:
    plan = plan_for(numbers, Strategy.INCREMENTAL, watermark="k", key_sync=True, key_sync_query="SELECT k FROM gone")
    with pytest.raises(PipekitError, match="gone"):
        numbers.run(plan)
    assert numbers.rows("SELECT count(*) FROM sync.t") == [(100,)]


def test_the_limit_of_key_sync_is_configurable(numbers: Bench) -> None:
    plan = plan_for(numbers, Strategy.INCREMENTAL, watermark="k", key_sync=True, limits=Limits(max_delete_share=0.5))
    numbers.run(plan)
    numbers.at_source("DELETE FROM s WHERE k <= 20")
    assert numbers.run(plan).last(events.Reconciled).deleted == 20

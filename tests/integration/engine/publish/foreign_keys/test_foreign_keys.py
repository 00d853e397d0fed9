"""Foreign keys that reference the destination: a run neither deletes nor empties referencing rows unless forced."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pytest

from connections.sdk.errors import InvalidValue, PipekitError, QueryInvalid, Refused
from connections.sdk.sql.foreign_keys import lock_deleted
from runs.engine import events
from runs.engine.plan import FullPublish, Strategy
from runs.engine.publish import foreign_keys
from tests.harness.bench import Bench
from tests.harness.matrix import first_by_default
from tests.integration.engine.publish.foreign_keys.invoices import ALL, INVOICES, create_tables, plan_for

pytestmark = pytest.mark.usefixtures("transfer_in_process")


@pytest.mark.parametrize("strategy", first_by_default([Strategy.INCREMENTAL, Strategy.FULL]))
@pytest.mark.parametrize(
    ("action", "harm", "afterwards"),
    first_by_default(
        [
            ("CASCADE", "delete 2 rows", []),
            ("SET NULL", "set the reference to NULL of 2 rows", [(100, None), (101, None)]),
        ]
    ),
)
def test_a_delete_that_would_cascade_is_refused_and_causes_a_warning_when_forced(
    pg_bench: Bench, strategy: Strategy, action: str, harm: str, afterwards: list[tuple[int, int | None]]
) -> None:
    create_tables(pg_bench, f"ON DELETE {action}")
    plan = plan_for(pg_bench, strategy)
    with pytest.raises(Refused) as caught:
        pg_bench.run(plan)
    description = f"{harm} of sync.invoice (foreign key invoice_customer_fkey, ON DELETE {action})"
    assert description in caught.value.message
    assert "upsert" in caught.value.hint
    assert pg_bench.rows(INVOICES) == ALL
    assert pg_bench.rows("SELECT id, v FROM sync.t ORDER BY 1") == [(1, "a"), (2, "b")]
    result = pg_bench.run(replace(plan, force=True))
    assert any(description in warning and "forced" in warning for warning in result.warnings)
    assert pg_bench.rows(INVOICES) == afterwards


@pytest.mark.parametrize("strategy", first_by_default([Strategy.INCREMENTAL, Strategy.FULL]))
def test_a_refused_run_does_not_lock_the_rows_that_it_would_delete(pg_bench: Bench, strategy: Strategy) -> None:
    create_tables(pg_bench, "ON DELETE CASCADE")
    # a lock on a row is written into its xmax, also by the check of a foreign key
    locked = "SELECT count(*) FROM sync.t WHERE xmax <> 0"
    pg_bench.at_destination("UPDATE sync.t SET v = v")
    assert pg_bench.rows(locked) == [(0,)]
    with pytest.raises(Refused):
        pg_bench.run(plan_for(pg_bench, strategy))
    assert pg_bench.rows(locked) == [(0,)]


@pytest.mark.parametrize("strategy", first_by_default([Strategy.INCREMENTAL, Strategy.FULL]))
def test_a_reference_inserted_between_the_count_and_the_lock_is_counted(
    pg_bench: Bench, strategy: Strategy, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_tables(pg_bench, "ON DELETE CASCADE")
    pg_bench.at_destination("DELETE FROM sync.invoice")

    def lock_after_insert(*args: Any) -> str:
        pg_bench.at_destination("INSERT INTO sync.invoice VALUES (102, 2)")
        return lock_deleted(*args)

    monkeypatch.setattr(foreign_keys, "lock_deleted", lock_after_insert)
    with pytest.raises(Refused, match=r"delete 1 rows of sync\.invoice"):
        pg_bench.run(plan_for(pg_bench, strategy))
    assert pg_bench.rows(INVOICES) == [(102, 2)]


@pytest.mark.parametrize("strategy", first_by_default([Strategy.INCREMENTAL, Strategy.FULL]))
def test_no_row_can_be_referenced_between_the_last_count_and_its_deletion(
    pg_bench: Bench, strategy: Strategy, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_tables(pg_bench, "ON DELETE CASCADE")
    pg_bench.at_destination("DELETE FROM sync.invoice")
    codes = []

    def insert_then_explain(*args: Any, **kwargs: Any) -> AbstractContextManager[None]:
        with pytest.raises(PipekitError) as caught:
            pg_bench.at_destination(
                "DO $$ BEGIN SET LOCAL lock_timeout = '200ms'; INSERT INTO sync.invoice VALUES (102, 2); END $$"
            )
        codes.append(caught.value.code)
        return explain_violations(*args, **kwargs)

    explain_violations = foreign_keys.explain_violations
    monkeypatch.setattr(foreign_keys, "explain_violations", insert_then_explain)
    pg_bench.run(plan_for(pg_bench, strategy))
    assert codes == ["lock_timeout"]


@pytest.mark.matrix
def test_upsert_keeps_the_referencing_rows(pg_bench: Bench) -> None:
    create_tables(pg_bench, "ON DELETE CASCADE")
    result = pg_bench.run(plan_for(pg_bench, Strategy.UPSERT))
    assert result.counts == (0, 2, 0)
    assert result.warnings == []
    assert pg_bench.rows(INVOICES) == ALL


@pytest.mark.matrix
def test_only_rows_that_would_be_replaced_are_counted(pg_bench: Bench) -> None:
    create_tables(pg_bench, "ON DELETE CASCADE")
    plan = plan_for(pg_bench, Strategy.INCREMENTAL)
    pg_bench.at_source("DELETE FROM s WHERE id = 1")
    with pytest.raises(Refused, match="delete 1 rows of sync.invoice"):
        pg_bench.run(plan)
    pg_bench.at_destination("DELETE FROM sync.invoice WHERE customer = 2")
    assert pg_bench.run(plan).counts == (0, 1, 0)
    assert pg_bench.rows(INVOICES) == [(100, 1)]


def test_truncate_is_refused_before_the_transfer_with_a_hint_that_delete_would_cascade(pg_bench: Bench) -> None:
    create_tables(pg_bench, "ON DELETE CASCADE")
    with pytest.raises(QueryInvalid, match=r"sync\.t cannot be emptied by TRUNCATE.*sync\.invoice") as caught:
        pg_bench.run(replace(plan_for(pg_bench, Strategy.FULL), full_publish=FullPublish.TRUNCATE))
    assert "full_publish to delete would delete rows of sync.invoice" in caught.value.hint
    assert not any(isinstance(event, events.Staged) for event in pg_bench.failed.events)
    assert pg_bench.rows(INVOICES) == ALL


@pytest.mark.parametrize("strategy", first_by_default([Strategy.INCREMENTAL, Strategy.FULL]))
@pytest.mark.parametrize("action", first_by_default(["", "ON DELETE RESTRICT"]))
def test_rows_that_must_not_be_deleted_are_reported_with_the_tables_that_reference_them(
    pg_bench: Bench, action: str, strategy: Strategy
) -> None:
    create_tables(pg_bench, action)
    with pytest.raises(InvalidValue) as caught:
        pg_bench.run(plan_for(pg_bench, strategy))
    assert "Rows of sync.invoice (foreign key invoice_customer_fkey" in caught.value.hint
    assert "upsert" in caught.value.hint
    assert pg_bench.rows(INVOICES) == ALL


@pytest.mark.matrix
@pytest.mark.parametrize("strategy", [Strategy.FULL, Strategy.INCREMENTAL])
def test_a_foreign_key_checked_at_commit_accepts_replaced_rows(pg_bench: Bench, strategy: Strategy) -> None:
    create_tables(pg_bench, "DEFERRABLE INITIALLY DEFERRED")
    pg_bench.run(plan_for(pg_bench, strategy))
    assert pg_bench.rows("SELECT id, v FROM sync.t ORDER BY 1") == [(1, "a"), (2, "new")]
    assert pg_bench.rows(INVOICES) == ALL


@pytest.mark.matrix
def test_a_foreign_key_that_is_violated_at_commit_is_named(pg_bench: Bench) -> None:
    create_tables(pg_bench, "DEFERRABLE INITIALLY DEFERRED")
    pg_bench.at_source("DELETE FROM s WHERE id = 1")
    with pytest.raises(InvalidValue, match="invoice_customer_fkey") as caught:
        pg_bench.run(plan_for(pg_bench, Strategy.FULL))
    assert "sync.invoice" in caught.value.hint
    assert pg_bench.rows("SELECT count(*) FROM sync.t") == [(2,)]


@pytest.mark.matrix
@pytest.mark.parametrize("action", ["CASCADE", "NO ACTION"])
def test_key_sync_deletes_referencing_rows_only_when_forced(pg_bench: Bench, action: str) -> None:
    create_tables(pg_bench, f"ON DELETE {action}")
    pg_bench.at_source("DELETE FROM s WHERE id = 1", "INSERT INTO s SELECT n, 'x' FROM generate_series(3, 30) n")
    plan = plan_for(pg_bench, Strategy.UPSERT, key_sync=True)
    with pytest.raises(PipekitError) as caught:
        pg_bench.run(plan)
    assert "sync.invoice (foreign key invoice_customer_fkey" in f"{caught.value.message} {caught.value.hint}"
    assert pg_bench.rows(INVOICES) == ALL
    assert pg_bench.rows("SELECT count(*) FROM sync.t") == [(30,)]
    if action == "CASCADE":
        result = pg_bench.run(replace(plan, force=True))
        assert result.last(events.Reconciled).deleted == 1
        assert any("key_sync would delete 1 rows of sync.invoice" in warning for warning in result.warnings)
        assert pg_bench.rows(INVOICES) == [(101, 2)]


@pytest.mark.matrix
def test_a_delete_is_refused_if_a_referencing_table_cannot_be_read(pg_bench: Bench) -> None:
    create_tables(pg_bench, "ON DELETE CASCADE")
    pg_bench.at_destination("CREATE ROLE loader_of_t LOGIN")
    try:
        pg_bench.at_destination(
            "GRANT ALL ON SCHEMA sync TO loader_of_t",
            "GRANT ALL ON sync.t TO loader_of_t",
            "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO loader_of_t', current_database()); END $$",
        )
        plan = plan_for(
            pg_bench, Strategy.INCREMENTAL, destination=replace(pg_bench.destination, username="loader_of_t")
        )
        with pytest.raises(Refused, match="how many is not known"):
            pg_bench.run(plan)
    finally:
        pg_bench.at_destination("DROP OWNED BY loader_of_t CASCADE", "DROP ROLE loader_of_t")
    assert pg_bench.rows(INVOICES) == ALL

"""Deferred constraint triggers of PostgreSQL are fired before the rows are counted: undoing the publish is an error."""

from __future__ import annotations

from typing import Any

import pytest

from connections.sdk.errors import CountMismatch, InvalidValue
from runs.engine.plan import FullPublish, Limits, Plan, Repair, Strategy
from tests.harness.bench import Bench
from tests.harness.matrix import first_by_default

pytestmark = [pytest.mark.matrix, pytest.mark.usefixtures("transfer_in_process")]

BEFORE = [(1, "old"), (5, "e")]
METHODS: dict[str, dict[str, Any]] = {
    "upsert": {"strategy": Strategy.UPSERT},
    "truncate": {},
    "full": {"full_publish": FullPublish.DELETE},
    "incremental": {"strategy": Strategy.INCREMENTAL},
    "append": {"strategy": Strategy.APPEND},
    "append with a watermark": {"strategy": Strategy.APPEND, "watermark": "k", "overlap": "9"},
}
INSERTS_AGAIN = ("AFTER DELETE", "INSERT INTO sync.t VALUES (old.k, old.v)")
DELETES = ("AFTER INSERT OR UPDATE", "DELETE FROM sync.t WHERE k = new.k")
CHANGES_KEY = ("AFTER INSERT OR UPDATE", "UPDATE sync.t SET k = k + 100 WHERE k = new.k AND k < 100")
CASES = [
    *((effect, method) for effect in (DELETES, CHANGES_KEY) for method in METHODS),
    *((INSERTS_AGAIN, method) for method in ("full", "incremental")),
]
# the rows of an append or a full refresh have no key that a trigger could be caught changing
CASES = [case for case in CASES if case[0] != CHANGES_KEY or case[1] in ("upsert", "incremental")]


def _create(bench: Bench, event: str, body: str, *, key: str = "") -> Bench:
    bench.at_source("CREATE TABLE s (k int, v text)", "INSERT INTO s VALUES (1, 'a'), (2, 'b')")
    bench.at_destination(
        "CREATE SCHEMA sync",
        f"CREATE TABLE sync.t (k int {key}, v text)",
        "INSERT INTO sync.t VALUES (1, 'old'), (5, 'e')",
        f"CREATE FUNCTION sync.x() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {body}; RETURN NULL; END'",
        f"CREATE CONSTRAINT TRIGGER x {event} ON sync.t DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION sync.x()",
    )
    return bench


def _plan(bench: Bench, method: str, **changes: object) -> Plan:
    return bench.plan("SELECT k, v FROM s", **{"merge_key": ("k",), **METHODS[method], **changes})


def _rows(bench: Bench) -> list[tuple[Any, ...]]:
    return bench.rows("SELECT k, v FROM sync.t ORDER BY 1, 2")


@pytest.mark.parametrize("key", first_by_default(["", "PRIMARY KEY"]))
@pytest.mark.parametrize(("effect", "method"), first_by_default(CASES))
def test_a_deferred_trigger_that_undoes_the_publish_fails_the_run(
    bench: Bench, effect: tuple[str, str], method: str, key: str
) -> None:
    _create(bench, *effect, key=key)
    if key and method.startswith("append"):
        bench.at_destination("DELETE FROM sync.t WHERE k = 1")
    before = _rows(bench)
    # if the key is unique, inserting the deleted row again violates it
    with pytest.raises((CountMismatch, InvalidValue)) as caught:
        bench.run(_plan(bench, method))
    assert "rigger" in caught.value.hint
    assert _rows(bench) == before


def test_key_sync_fails_if_a_trigger_inserts_the_deleted_rows_again(bench: Bench) -> None:
    _create(bench, *INSERTS_AGAIN)
    with pytest.raises(CountMismatch, match="Only 0 of 1 rows could be deleted"):
        bench.run(_plan(bench, "upsert", key_sync=True, limits=Limits(max_delete_share=1)))
    assert _rows(bench) == [(1, "a"), (2, "b"), (5, "e")]


def test_a_repair_fails_if_a_trigger_inserts_the_deleted_rows_again(bench: Bench) -> None:
    _create(bench, *INSERTS_AGAIN)
    repair = Repair(column="k")
    with pytest.raises(CountMismatch, match="Only 0 of 1 rows could be deleted"):
        bench.run(_plan(bench, "upsert", repair=repair, limits=Limits(max_delete_share=1)))
    assert _rows(bench) == [(1, "a"), (2, "b"), (5, "e")]


def test_a_repair_of_duplicates_fails_if_a_trigger_inserts_them_again(bench: Bench) -> None:
    _create(bench, *INSERTS_AGAIN)
    bench.at_destination("UPDATE sync.t SET k = 1, v = 'a'")
    repair = Repair(column="k", deletes=False, removes_duplicates=True)
    with pytest.raises(CountMismatch):
        bench.run(_plan(bench, "upsert", repair=repair, limits=Limits(max_delete_share=1)))
    assert _rows(bench) == [(1, "a"), (1, "a"), (2, "b")]


@pytest.mark.parametrize("strategy", ["key_sync", "repair"])
def test_key_sync_and_repair_fail_if_a_trigger_deletes_other_rows(bench: Bench, strategy: str) -> None:
    _create(bench, "AFTER DELETE", "DELETE FROM sync.t WHERE k = 2")
    changes: dict[str, Any] = {"key_sync": True} if strategy == "key_sync" else {"repair": Repair(column="k")}
    with pytest.raises(CountMismatch, match=r"would have 1 row after .*, and 2 should be left"):
        bench.run(_plan(bench, "upsert", limits=Limits(max_delete_share=1), **changes))
    assert _rows(bench) == [(1, "a"), (2, "b"), (5, "e")]


def test_a_deferred_trigger_that_raises_an_error_fails_the_run_with_its_message(bench: Bench) -> None:
    _create(bench, "AFTER INSERT", "RAISE EXCEPTION USING MESSAGE = ''not on a Sunday'', ERRCODE = ''23514''")
    with pytest.raises(InvalidValue, match="not on a Sunday"):
        bench.run(_plan(bench, "upsert"))
    assert _rows(bench) == BEFORE


def test_a_deferred_foreign_key_that_holds_at_commit_is_not_checked_before(bench: Bench) -> None:
    _create(bench, "AFTER INSERT", "PERFORM 1", key="PRIMARY KEY")
    bench.at_destination(
        "CREATE TABLE sync.child (k int REFERENCES sync.t DEFERRABLE INITIALLY DEFERRED)",
        "INSERT INTO sync.child VALUES (1)",
    )
    for method in ("full", "incremental"):
        bench.run(_plan(bench, method))
    assert _rows(bench) == [(1, "a"), (2, "b")]


def test_a_violated_deferred_foreign_key_is_reported_with_a_hint(bench: Bench) -> None:
    _create(bench, "AFTER INSERT", "PERFORM 1", key="PRIMARY KEY")
    bench.at_destination(
        "CREATE TABLE sync.child (k int REFERENCES sync.t DEFERRABLE INITIALLY DEFERRED)",
        "INSERT INTO sync.child VALUES (5)",
    )
    with pytest.raises(InvalidValue) as caught:
        bench.run(_plan(bench, "full"))
    assert "Rows of sync.child" in caught.value.hint
    assert "upsert" in caught.value.hint
    assert _rows(bench) == BEFORE

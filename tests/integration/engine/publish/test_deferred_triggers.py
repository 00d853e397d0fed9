"""Deferred constraint triggers of PostgreSQL act before the publish is counted: what they undo is no success."""

from __future__ import annotations

from typing import Any

import pytest

from connections.sdk.errors import CountMismatch, InvalidValue
from runs.engine.plan import Limits, Plan, Repair, Strategy
from tests.benches.bench import Bench
from tests.benches.matrix import first_by_default

pytestmark = pytest.mark.usefixtures("transfer_in_process")

BEFORE = [(1, "old"), (5, "e")]
WAYS: dict[str, dict[str, Any]] = {
    "upsert": {"strategy": Strategy.UPSERT},
    "truncate": {},
    "full": {"delete_instead_of_truncate": True},
    "incremental": {"strategy": Strategy.INCREMENTAL},
    "append": {"strategy": Strategy.APPEND},
    "append from a mark": {"strategy": Strategy.APPEND, "watermark": "k", "overlap": "9"},
}
DELETED_BACK = ("AFTER DELETE", "INSERT INTO sync.t VALUES (old.k, old.v)")
TAKEN_OUT = ("AFTER INSERT OR UPDATE", "DELETE FROM sync.t WHERE k = new.k")
KEY_CHANGED = ("AFTER INSERT OR UPDATE", "UPDATE sync.t SET k = k + 100 WHERE k = new.k AND k < 100")
CASES = [
    *((effect, way) for effect in (TAKEN_OUT, KEY_CHANGED) for way in WAYS),
    *((DELETED_BACK, way) for way in ("full", "incremental")),
]
# an append and a full refresh promise rows, and have no key by which one is known
CASES = [case for case in CASES if case[0] != KEY_CHANGED or case[1] in ("upsert", "incremental")]


def _prepared(bench: Bench, event: str, body: str, *, key: str = "") -> Bench:
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


def _plan(bench: Bench, way: str, **changes: object) -> Plan:
    return bench.plan("SELECT k, v FROM s", **{"merge_key": ("k",), **WAYS[way], **changes})


def _rows(bench: Bench) -> list[tuple[Any, ...]]:
    return bench.rows("SELECT k, v FROM sync.t ORDER BY 1, 2")


@pytest.mark.parametrize("key", first_by_default(["", "PRIMARY KEY"]))
@pytest.mark.parametrize(("effect", "way"), first_by_default(CASES))
def test_a_deferred_trigger_that_undoes_what_statements_do_fails_the_run(
    bench: Bench, effect: tuple[str, str], way: str, key: str
) -> None:
    _prepared(bench, *effect, key=key)
    if key and way.startswith("append"):
        bench.at_destination("DELETE FROM sync.t WHERE k = 1")
    before = _rows(bench)
    # where the key is unique, the row that comes back finds its place taken
    with pytest.raises((CountMismatch, InvalidValue)) as caught:
        bench.run(_plan(bench, way))
    assert "rigger" in caught.value.hint
    assert _rows(bench) == before


def test_key_sync_sees_that_its_rows_come_back(bench: Bench) -> None:
    _prepared(bench, *DELETED_BACK)
    with pytest.raises(CountMismatch, match="Only 0 of 1 rows could be deleted"):
        bench.run(_plan(bench, "upsert", key_sync=True, limits=Limits(max_delete_share=1)))
    assert _rows(bench) == [(1, "a"), (2, "b"), (5, "e")]


def test_a_repair_sees_that_its_rows_come_back(bench: Bench) -> None:
    _prepared(bench, *DELETED_BACK)
    repair = Repair(column="k")
    with pytest.raises(CountMismatch, match="Only 0 of 1 rows could be deleted"):
        bench.run(_plan(bench, "upsert", repair=repair, limits=Limits(max_delete_share=1)))
    assert _rows(bench) == [(1, "a"), (2, "b"), (5, "e")]


def test_a_repair_of_doubled_rows_sees_that_they_come_back(bench: Bench) -> None:
    _prepared(bench, *DELETED_BACK)
    bench.at_destination("UPDATE sync.t SET k = 1, v = 'a'")
    repair = Repair(column="k", deletes=False, removes_duplicates=True)
    with pytest.raises(CountMismatch):
        bench.run(_plan(bench, "upsert", repair=repair, limits=Limits(max_delete_share=1)))
    assert _rows(bench) == [(1, "a"), (1, "a"), (2, "b")]


@pytest.mark.parametrize("strategy", ["key_sync", "repair"])
def test_rows_that_a_trigger_deletes_beside_the_extra_ones_are_reported(bench: Bench, strategy: str) -> None:
    _prepared(bench, "AFTER DELETE", "DELETE FROM sync.t WHERE k = 2")
    changes: dict[str, Any] = {"key_sync": True} if strategy == "key_sync" else {"repair": Repair(column="k")}
    with pytest.raises(CountMismatch, match=r"would have 1 row after .*, and 2 should be left"):
        bench.run(_plan(bench, "upsert", limits=Limits(max_delete_share=1), **changes))
    assert _rows(bench) == [(1, "a"), (2, "b"), (5, "e")]


def test_a_deferred_trigger_that_refuses_the_rows_fails_the_run_with_its_message(bench: Bench) -> None:
    _prepared(bench, "AFTER INSERT", "RAISE EXCEPTION USING MESSAGE = ''not on a Sunday'', ERRCODE = ''23514''")
    with pytest.raises(InvalidValue, match="not on a Sunday"):
        bench.run(_plan(bench, "upsert"))
    assert _rows(bench) == BEFORE


def test_a_deferred_foreign_key_that_is_kept_in_the_end_stays_deferred(bench: Bench) -> None:
    _prepared(bench, "AFTER INSERT", "PERFORM 1", key="PRIMARY KEY")
    bench.at_destination(
        "CREATE TABLE sync.child (k int REFERENCES sync.t DEFERRABLE INITIALLY DEFERRED)",
        "INSERT INTO sync.child VALUES (1)",
    )
    for way in ("full", "incremental"):
        bench.run(_plan(bench, way))
    assert _rows(bench) == [(1, "a"), (2, "b")]


def test_a_deferred_foreign_key_that_is_broken_says_what_to_do(bench: Bench) -> None:
    _prepared(bench, "AFTER INSERT", "PERFORM 1", key="PRIMARY KEY")
    bench.at_destination(
        "CREATE TABLE sync.child (k int REFERENCES sync.t DEFERRABLE INITIALLY DEFERRED)",
        "INSERT INTO sync.child VALUES (5)",
    )
    with pytest.raises(InvalidValue) as caught:
        bench.run(_plan(bench, "full"))
    assert "Rows of sync.child" in caught.value.hint
    assert "upsert" in caught.value.hint
    assert _rows(bench) == BEFORE

"""Destination tables that users created: a run fills them correctly, or fails and leaves them unchanged."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from connections.sdk.errors import CountMismatch, PipekitError, QueryInvalid
from runs.engine import events
from runs.engine.plan import FullPublish, Strategy
from tests.harness.bench import Bench

pytestmark = pytest.mark.usefixtures("transfer_in_process")

_MERGES = [Strategy.UPSERT, Strategy.INCREMENTAL]
_TABLE = "CREATE TABLE sync.t (k int, v text{})"
_LOSES = """CREATE FUNCTION sync.lose() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF new.k = 2 THEN RETURN NULL; END IF; RETURN new; END $$"""
# name -> the statements that create the table in the schema sync
FILLED = {
    "no unique key": [_TABLE.format("")],
    "partial unique index": [_TABLE.format(""), "CREATE UNIQUE INDEX ON sync.t (k) WHERE k > 1"],
    "deferrable key": [_TABLE.format(", UNIQUE (k) DEFERRABLE INITIALLY DEFERRED")],
    "unique expression": [_TABLE.format(""), "CREATE UNIQUE INDEX ON sync.t ((k + 0))"],
    "exclusion": [_TABLE.format(", EXCLUDE USING btree (k WITH =)")],
    "view": ["CREATE TABLE sync.below (k int PRIMARY KEY, v text)", "CREATE VIEW sync.t AS SELECT * FROM sync.below"],
    "partitions": [
        "CREATE TABLE sync.t (k int PRIMARY KEY, v text) PARTITION BY RANGE (k)",
        "CREATE TABLE sync.low PARTITION OF sync.t FOR VALUES FROM (0) TO (2)",
        "CREATE TABLE sync.rest PARTITION OF sync.t DEFAULT",
    ],
    "defaults": ["CREATE TABLE sync.t (k int PRIMARY KEY, v text, x int NOT NULL DEFAULT 7)"],
    "generated column": ["CREATE TABLE sync.t (k int PRIMARY KEY, v text, g int GENERATED ALWAYS AS (k * 2) STORED)"],
    "dropped column": ["CREATE TABLE sync.t (k int, gone int, v text)", "ALTER TABLE sync.t DROP COLUMN gone"],
    "other order": ["CREATE TABLE sync.t (v text, k int)"],
    "narrower": ["CREATE TABLE sync.t (k smallint PRIMARY KEY, v varchar(1))"],
    "identity": ["CREATE TABLE sync.t (k int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text)"],
    "unlogged": ["CREATE UNLOGGED TABLE sync.t (k int PRIMARY KEY, v text)"],
}
FAILS = {
    "another not null column": ["CREATE TABLE sync.t (k int PRIMARY KEY, v text, x int NOT NULL)"],
    "fewer columns": ["CREATE TABLE sync.t (k int PRIMARY KEY)"],
    "another key": [_TABLE.format(", UNIQUE (v)")],
    "materialised view": ["CREATE MATERIALIZED VIEW sync.t AS SELECT 1 AS k, NULL::text AS v"],
    "check": ["CREATE TABLE sync.t (k int PRIMARY KEY, v text CHECK (v <> 'b'))"],
}
LOSES_ROWS = {
    "trigger": [
        "CREATE TABLE sync.t (k int PRIMARY KEY, v text)",
        _LOSES,
        "CREATE TRIGGER lose BEFORE INSERT ON sync.t FOR EACH ROW EXECUTE FUNCTION sync.lose()",
    ],
    "trigger and no key": [
        _TABLE.format(""),
        _LOSES,
        "CREATE TRIGGER lose BEFORE INSERT ON sync.t FOR EACH ROW EXECUTE FUNCTION sync.lose()",
    ],
    "rule": ["CREATE TABLE sync.t (k int, v text)", "CREATE RULE r AS ON INSERT TO sync.t DO INSTEAD NOTHING"],
}


def _create(bench: Bench, ddl: Sequence[str]) -> None:
    bench.at_source("CREATE TABLE s (k int, v text)", "INSERT INTO s VALUES (1, 'a'), (2, 'a')")
    bench.at_destination("CREATE SCHEMA sync", *ddl)


@pytest.mark.matrix
@pytest.mark.parametrize("strategy", _MERGES)
@pytest.mark.parametrize("name", FILLED)
def test_rows_are_merged_into_a_table_of_any_kind(pg_bench: Bench, name: str, strategy: Strategy) -> None:
    _create(pg_bench, FILLED[name])
    plan = pg_bench.plan("SELECT k, v FROM s", strategy=strategy, merge_key=("k",))
    assert pg_bench.run(plan).counts == (2, 0, 0)
    pg_bench.at_source("UPDATE s SET v = 'b'", "INSERT INTO s VALUES (3, 'c')")
    assert pg_bench.run(plan).counts == (1, 2, 0)
    assert pg_bench.rows("SELECT k, v FROM sync.t ORDER BY 1") == [(1, "b"), (2, "b"), (3, "c")]


@pytest.mark.matrix
@pytest.mark.parametrize("strategy", _MERGES)
@pytest.mark.parametrize("name", FAILS)
def test_a_run_fails_if_its_table_cannot_take_the_rows_and_the_table_is_unchanged(
    pg_bench: Bench, name: str, strategy: Strategy
) -> None:
    _create(pg_bench, FAILS[name])
    pg_bench.at_source("UPDATE s SET v = 'b'")
    before = pg_bench.rows()
    with pytest.raises(PipekitError):
        pg_bench.run(pg_bench.plan("SELECT k, v FROM s", strategy=strategy, merge_key=("k",)))
    assert pg_bench.rows() == before


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("strategy", [*_MERGES, Strategy.APPEND, Strategy.FULL])
@pytest.mark.parametrize("name", LOSES_ROWS)
def test_a_run_fails_if_its_table_discards_rows(pg_bench: Bench, name: str, strategy: Strategy) -> None:
    _create(pg_bench, LOSES_ROWS[name])
    key = () if strategy in (Strategy.APPEND, Strategy.FULL) else ("k",)
    with pytest.raises(CountMismatch, match=r"of 2 rows did not arrive in sync\.t"):
        pg_bench.run(pg_bench.plan("SELECT k, v FROM s", strategy=strategy, merge_key=key))
    assert pg_bench.rows() == []


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    "ddl",
    [
        FILLED["view"],
        ["CREATE TABLE sync.t (k int PRIMARY KEY, v text)", "CREATE TABLE sync.child (k int REFERENCES sync.t)"],
    ],
)
def test_a_table_that_cannot_be_truncated_is_filled_by_delete(pg_bench: Bench, ddl: list[str]) -> None:
    _create(pg_bench, ddl)
    with pytest.raises(QueryInvalid) as caught:
        pg_bench.run(pg_bench.plan("SELECT k, v FROM s", full_publish=FullPublish.TRUNCATE))
    assert "full_publish to delete" in caught.value.hint
    assert pg_bench.run(pg_bench.plan("SELECT k, v FROM s", full_publish=FullPublish.DELETE)).counts == (2, 0, 0)
    result = pg_bench.run(pg_bench.plan("SELECT k, v FROM s"))
    assert result.counts == (2, 0, 2)
    assert result.last(events.MethodChosen).method == "delete"
    assert "cannot be truncated, because it is " in result.last(events.MethodChosen).why
    assert pg_bench.rows("SELECT k, v FROM sync.t ORDER BY 1") == [(1, "a"), (2, "a")]

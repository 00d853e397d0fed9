"""Tables that keep rows which a run deletes or updates, or that discard inserted rows: the run fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from connections.sdk.errors import CountMismatch, InvalidValue
from connections.sdk.schema import TableName
from runs.engine import events
from runs.engine.plan import FullPublish, Limits, Plan, Strategy
from tests.harness.bench import Bench

pytestmark = [pytest.mark.matrix, pytest.mark.usefixtures("transfer_in_process")]

_SKIP = "CREATE FUNCTION sync.skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
_SKIP_TWO = """CREATE FUNCTION sync.skip() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN IF old.k = 2 THEN RETURN NULL; END IF; IF tg_op = $$DELETE$$ THEN RETURN old; END IF; RETURN new; END'"""
_TRIGGER = "CREATE TRIGGER skip BEFORE {} ON sync.t FOR EACH ROW EXECUTE FUNCTION sync.skip()"
_POLICIES = [
    "ALTER TABLE sync.t ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY s ON sync.t FOR SELECT USING (true)",
    "CREATE POLICY i ON sync.t FOR INSERT WITH CHECK (true)",
]
# name -> what is executed on a table sync.t (k int, v text, gone boolean) without a key
KEEPS = {
    "trigger": [_SKIP, _TRIGGER.format("DELETE")],
    "trigger that keeps one row": [_SKIP_TWO, _TRIGGER.format("DELETE")],
    "rule": ["CREATE RULE soft AS ON DELETE TO sync.t DO INSTEAD UPDATE sync.t SET gone = true WHERE k = old.k"],
    "rule that does nothing": ["CREATE RULE soft AS ON DELETE TO sync.t DO INSTEAD NOTHING"],
    "no policy": _POLICIES,
}
METHODS = ["full", "incremental", "key_sync"]
QUERY = "SELECT k, v FROM s"


@pytest.fixture
def clerk(pg_bench: Bench) -> Iterator[Bench]:
    """Three rows at the source and in the destination, whose user is not a superuser."""
    pg_bench.at_source("CREATE TABLE s (k int, v text)", "INSERT INTO s VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    pg_bench.at_destination(
        "DROP ROLE IF EXISTS clerk",
        "CREATE ROLE clerk LOGIN",
        "CREATE SCHEMA sync",
        "CREATE SCHEMA pipekit_staging",
        "CREATE TABLE sync.t (k int, v text, gone boolean)",
        "INSERT INTO sync.t SELECT k, v, false FROM (VALUES (1, 'a'), (2, 'b'), (3, 'c')) AS x (k, v)",
        "GRANT ALL ON SCHEMA sync, pipekit_staging TO clerk",
        "GRANT ALL ON sync.t TO clerk",
    )
    yield Bench(pg_bench.source, replace(pg_bench.destination, username="clerk"))
    pg_bench.at_destination("DROP OWNED BY clerk", "DROP ROLE clerk")


def _as_owner(bench: Bench, *statements: str) -> None:
    with psycopg.connect(bench.destination.url, autocommit=True) as connection:
        for sql in statements:
            connection.execute(sql.encode())


def _plan(bench: Bench, method: str, **changes: object) -> Plan:
    keyed: dict[str, dict[str, Any]] = {
        # forced, because the query does not fill the column gone
        "full": {"full_publish": FullPublish.DELETE, "force": True},
        "incremental": {"strategy": Strategy.INCREMENTAL, "merge_key": ("k",)},
        "upsert": {"strategy": Strategy.UPSERT, "merge_key": ("k",)},
        "key_sync": {"strategy": Strategy.UPSERT, "merge_key": ("k",), "key_sync": True},
    }
    return bench.plan(QUERY, limits=Limits(max_delete_share=1), **{**keyed[method], **changes})


@pytest.mark.parametrize(
    ("name", "method"),
    [
        pytest.param(name, method, marks=() if name == "trigger that keeps one row" else pytest.mark.matrix)
        for name in KEEPS
        for method in METHODS
    ],
)
def test_a_table_that_keeps_deleted_rows_fails_the_run(clerk: Bench, name: str, method: str) -> None:
    _as_owner(clerk, *KEEPS[name])
    if method == "key_sync":
        clerk.at_source("DELETE FROM s WHERE k = 2")
        _as_owner(clerk, *(["CREATE POLICY u ON sync.t FOR UPDATE USING (true)"] if name == "no policy" else []))
    before = clerk.rows()
    kept = 2 if "one row" in name else 0
    expected = 1 if method == "key_sync" else 3
    with pytest.raises(
        CountMismatch, match=rf"Only {min(kept, expected - 1)} of {expected} rows could be deleted from sync"
    ):
        clerk.run(_plan(clerk, method))
    assert clerk.rows() == before


@pytest.mark.parametrize(
    ("name", "ddl"),
    [
        ("trigger that keeps one row", [_SKIP_TWO, _TRIGGER.format("UPDATE")]),
        pytest.param("trigger", [_SKIP, _TRIGGER.format("UPDATE")]),
        pytest.param("rule", ["CREATE RULE r AS ON UPDATE TO sync.t DO INSTEAD NOTHING"]),
        pytest.param("no policy", _POLICIES),
    ],
)
def test_a_table_that_does_not_update_its_rows_fails_the_run(clerk: Bench, name: str, ddl: list[str]) -> None:
    # with a duplicate, as many rows are updated as there are keys
    _as_owner(clerk, "INSERT INTO sync.t VALUES (1, 'a', false)", *ddl)
    before = clerk.rows()
    with pytest.raises(CountMismatch, match=r"of 3 rows did not arrive in sync\.t"):
        clerk.run(_plan(clerk, "upsert"))
    assert clerk.rows() == before


def test_a_table_with_a_key_that_keeps_deleted_rows_fails_the_run_with_a_hint(clerk: Bench) -> None:
    _as_owner(clerk, "ALTER TABLE sync.t ADD PRIMARY KEY (k)", *KEEPS["trigger"])
    before = clerk.rows()
    with pytest.raises(InvalidValue, match="unique constraint") as caught:
        clerk.run(_plan(clerk, "incremental"))
    assert "keeps rows that are to be replaced" in caught.value.hint
    assert clerk.rows() == before


def test_duplicates_in_the_destination_are_replaced_by_one_row(clerk: Bench) -> None:
    _as_owner(clerk, "INSERT INTO sync.t VALUES (1, 'a', false)")
    assert clerk.run(_plan(clerk, "incremental")).counts == (0, 3, 0)
    assert clerk.rows("SELECT k FROM sync.t ORDER BY 1") == [(1,), (2,), (3,)]


def test_a_kept_row_is_detected_among_duplicates(clerk: Bench) -> None:
    _as_owner(clerk, "INSERT INTO sync.t VALUES (1, 'a', false)", *KEEPS["trigger that keeps one row"])
    with pytest.raises(CountMismatch, match="Only 3 of 4 rows"):
        clerk.run(_plan(clerk, "incremental"))


SQLITE = {
    "full": "CREATE TRIGGER x BEFORE DELETE ON t WHEN old.k = 2 BEGIN SELECT raise(IGNORE); END",
    "incremental": "CREATE TRIGGER x BEFORE DELETE ON t WHEN old.k = 2 BEGIN SELECT raise(IGNORE); END",
    "key_sync": "CREATE TRIGGER x BEFORE DELETE ON t BEGIN SELECT raise(IGNORE); END",
    "upsert": "CREATE TRIGGER x BEFORE UPDATE ON t WHEN old.k = 2 BEGIN SELECT raise(IGNORE); END",
}


@pytest.mark.parametrize(
    "method", [pytest.param(method, marks=() if method == "incremental" else pytest.mark.matrix) for method in SQLITE]
)
def test_a_sqlite_trigger_that_ignores_a_statement_fails_the_run(bench_to: Callable[[str], Bench], method: str) -> None:
    bench = bench_to("sqlite")
    bench.at_source("CREATE TABLE s (k int, v text)", "INSERT INTO s VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    bench.at_destination("CREATE TABLE t (k int, v text)", "INSERT INTO t VALUES (1, 'x'), (2, 'x'), (3, 'x')")
    bench.at_destination(SQLITE[method])
    if method == "key_sync":
        bench.at_source("DELETE FROM s WHERE k = 2")
    before = bench.rows("SELECT * FROM t")
    with pytest.raises(CountMismatch):
        bench.run(_plan(bench, method, dest_table=TableName("main", "t")))
    assert bench.rows("SELECT * FROM t") == (before if method != "key_sync" else [(1, "a"), (2, "x"), (3, "c")])


_LOSE = """CREATE FUNCTION sync.skip() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN IF new.k = 5 THEN RETURN NULL; END IF; RETURN new; END'"""
DISCARDS = {
    "trigger": [_LOSE, _TRIGGER.format("INSERT")],
    "rule": ["CREATE RULE r AS ON INSERT TO sync.t WHERE new.k = 5 DO INSTEAD NOTHING"],
    "trigger of a partition": [
        "DROP TABLE sync.t",
        "CREATE TABLE sync.t (k int, v text) PARTITION BY RANGE (k)",
        "CREATE TABLE sync.low PARTITION OF sync.t FOR VALUES FROM (0) TO (5)",
        "CREATE TABLE sync.rest PARTITION OF sync.t DEFAULT",
        "INSERT INTO sync.t VALUES (1, 'a'), (2, 'b'), (3, 'c')",
        "GRANT ALL ON sync.t TO clerk",
        _LOSE,
        _TRIGGER.format("INSERT").replace("sync.t", "sync.rest"),
    ],
    "view": [
        "ALTER TABLE sync.t RENAME TO below",
        "CREATE VIEW sync.t AS SELECT k, v FROM sync.below",
        "GRANT ALL ON sync.t TO clerk",
        "CREATE RULE r AS ON INSERT TO sync.t DO INSTEAD INSERT INTO sync.below SELECT new.k, new.v WHERE new.k <> 5",
    ],
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "trigger" else pytest.mark.matrix) for name in DISCARDS]
)
def test_append_fails_if_the_table_discards_rows(clerk: Bench, name: str) -> None:
    _as_owner(clerk, *DISCARDS[name])
    plan = clerk.plan(QUERY, strategy=Strategy.APPEND, watermark="k", overlap="1")
    clerk.at_source("INSERT INTO s VALUES (4, 'd')")
    # rows that are read again are not missing
    assert clerk.run(plan).counts == (1, 0, 0)
    assert clerk.run(plan).counts == (0, 0, 0)
    before = clerk.rows("SELECT k, v FROM sync.t ORDER BY 1")
    clerk.at_source("INSERT INTO s VALUES (5, 'e'), (6, 'f')")
    with pytest.raises(CountMismatch, match=r"1 of \d rows did not arrive"):
        clerk.run(plan)
    assert clerk.rows("SELECT k, v FROM sync.t ORDER BY 1") == before


@pytest.mark.parametrize(
    "ddl",
    [
        ["CREATE TABLE t (k int UNIQUE ON CONFLICT IGNORE, v text)"],
        pytest.param(
            [
                "CREATE TABLE t (k int, v text)",
                "CREATE TRIGGER x BEFORE INSERT ON t WHEN new.v = 'lost' BEGIN SELECT raise(IGNORE); END",
            ],
            marks=pytest.mark.matrix,
        ),
    ],
)
def test_append_fails_if_a_sqlite_table_discards_rows(bench_to: Callable[[str], Bench], ddl: list[str]) -> None:
    bench = bench_to("sqlite")
    bench.at_source("CREATE TABLE s (k int, v text)", "INSERT INTO s VALUES (1, 'a'), (2, 'b')")
    bench.at_destination(*ddl)
    plan = bench.plan(QUERY, strategy=Strategy.APPEND, watermark="k", overlap="1", dest_table=TableName("main", "t"))
    assert bench.run(plan).counts == (2, 0, 0)
    bench.at_source("INSERT INTO s VALUES (2, 'lost')")
    with pytest.raises(CountMismatch, match=r"1 of \d rows did not arrive"):
        bench.run(plan)


def test_append_to_a_plain_table_does_not_count_its_rows(clerk: Bench) -> None:
    plan = clerk.plan(QUERY, strategy=Strategy.APPEND, watermark="k", overlap="1")
    assert "count(*) FROM (" not in clerk.run(plan).last(events.MergeSqlBuilt).sql

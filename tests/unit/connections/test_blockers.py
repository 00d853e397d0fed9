"""The log shows the statement of a session that holds a lock, without any values."""

from __future__ import annotations

import pytest

from connections.connectors.postgresql.session.blockers import describe

SHOWN = {
    "LOCK TABLE t2024.order_1 IN SHARE MODE": "LOCK TABLE t2024.order_1 IN SHARE MODE",
    'UPDATE "order 2024"\n  SET "a""1" = b1': 'UPDATE "order 2024" SET "a""1" = b1',
    "UPDATE emp SET salary = 84000 WHERE ssn = 123456789": "UPDATE emp SET salary = ...",
    "UPDATE t1 SET a=-1.5e3": "UPDATE t1 SET a=- ...",
    "UPDATE t1 SET a = .5": "UPDATE t1 SET a = ...",
    "UPDATE t1 SET a = 0x1F": "UPDATE t1 SET a = ...",
    "UPDATE t1 SET a = 'it''s'": "UPDATE t1 SET a = ...",
    "UPDATE t1 SET a = E'\\x41'": "UPDATE t1 SET a = ...",
    "UPDATE t1 SET a = u&'\\0041'": "UPDATE t1 SET a = ...",
    "UPDATE t1 SET a = B'1' || x'ff'": "UPDATE t1 SET a = ...",
    "UPDATE t1 SET a = $$secret$$": "UPDATE t1 SET a = ...",
    "UPDATE t1 SET a = $of$secret$of$": "UPDATE t1 SET a = ...",
    "UPDATE t1 SET a = b -- secret": "UPDATE t1 SET a = b ...",
    "UPDATE t1 /* secret */ SET a = b": "UPDATE t1 ...",
    "/* secret */ UPDATE t1 SET a = b": "...",
    'UPDATE "cut off': "UPDATE ...",
    "UPDATE t1 SET " + "a" * 100: "UPDATE t1 SET " + "a" * 46 + " ...",
    "SELECT a - b / c * d FROM t$1": "SELECT a - b / c * d FROM t$1",
}


@pytest.mark.parametrize("query", SHOWN)
def test_a_statement_is_cut_before_its_first_value_or_comment(query: str) -> None:
    row = ("relation", "sync.t", "ShareLock", None, 7, "report", "me", "active", None, query)
    assert describe([row]) == (
        "waiting for a lock on sync.t (ShareLock), held by process 7 (report, user me, active, "
        f"statement: {SHOWN[query]})"
    )

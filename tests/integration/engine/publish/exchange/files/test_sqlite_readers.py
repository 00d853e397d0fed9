"""What readers of a SQLite file see of an exchange of tables, and what remains of the former table."""

from __future__ import annotations

import subprocess
import sys
from ast import literal_eval
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from connections.url.parse import parse_url
from runs.engine.events import MethodChosen
from tests.harness.bench import Bench
from tests.integration.engine.publish.exchange.files.tables import (
    FORMER,
    NEW,
    PLAIN,
    QUERY,
    exists,
    method,
)

pytestmark = pytest.mark.usefixtures("transfer_in_process")


# in a process of its own, because two libraries of SQLite in one process release each other's locks
READER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for line in sys.stdin:
    if line == "begin\\n":
        cursor = connection.execute('SELECT k, v FROM "sync.t" ORDER BY k')
        rows = [cursor.fetchone()]
    elif line == "rest\\n":
        rows += cursor.fetchall()
    else:
        rows = []
        while not rows or rows[-1][0][1] != line.strip():
            found = connection.execute('SELECT k, v FROM "sync.t" ORDER BY v, k').fetchall()
            if not rows or found != rows[-1]:
                rows.append(found)
                print("seen", flush=True)
    print(rows, flush=True)
"""


@contextmanager
def reader(bench: Bench) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", READER, parse_url(bench.destination.url, kind="sqlite").path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def ask(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_readers_see_the_former_rows_or_the_new_ones(files: Callable[..., Bench], mode: str) -> None:
    bench = files("sqlite", PLAIN["sqlite"], 'CREATE INDEX by_v ON "sync.t" (v)', f"PRAGMA journal_mode = {mode}")
    versions = [FORMER]
    with reader(bench) as process:
        ask(process, "new 3")
        assert answer(process) == "seen"
        for number in range(1, 4):
            bench.at_source(f"UPDATE s SET v = 'new {number}'")
            versions.append([(k, f"new {number}") for k in (1, 2, 3)])
            assert method(bench) == ("swap", "")
        while (line := answer(process)) == "seen":
            pass
    seen = literal_eval(line)
    # in this order, though it may have missed some
    assert [rows for rows in versions if rows in seen] == seen
    assert (seen[0], seen[-1]) == (FORMER, versions[-1])


def test_a_reader_within_a_transaction_keeps_the_former_table(files: Callable[..., Bench]) -> None:
    bench = files("sqlite", PLAIN["sqlite"], "PRAGMA journal_mode = wal")
    with reader(bench) as process:
        ask(process, "begin")
        assert literal_eval(answer(process)) == FORMER[:1]
        assert method(bench) == ("swap", "")
        ask(process, "rest")
        assert literal_eval(answer(process)) == FORMER
        ask(process, "new")
        assert [answer(process), literal_eval(answer(process))] == ["seen", [NEW]]


def test_the_pages_of_the_former_table_are_used_again(files: Callable[..., Bench]) -> None:
    bench = files("sqlite", 'CREATE TABLE "sync.t" (k INTEGER, v TEXT)')
    bench.at_source(
        "INSERT INTO s WITH RECURSIVE n (k) AS (VALUES (9) UNION ALL SELECT k + 1 FROM n LIMIT 3000)"
        " SELECT k, printf('%.500c', 'x') FROM n"
    )
    sizes = []
    for _ in range(4):
        method(bench)
        sizes += bench.rows("SELECT page_count FROM pragma_page_count()")
    assert sizes[1] == sizes[2] == sizes[3]


def test_no_former_table_is_kept(files: Callable[..., Bench]) -> None:
    bench = files("sqlite", PLAIN["sqlite"])
    plan = replace(bench.plan(QUERY), keep_previous=True)
    assert bench.run(plan).last(MethodChosen).method == "swap"
    assert not exists(bench, "pipekit_staging.m")
    assert bench.rows('SELECT data_version FROM "pipekit_staging.pipekit_exchanges"') == [(None,)]

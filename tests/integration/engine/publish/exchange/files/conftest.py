"""Benches to files whose table has rows already; a fixture that all modules of this folder use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.harness.bench import Bench
from tests.harness.kept_sessions import opened_file
from tests.integration.engine.publish.exchange.files.tables import (
    TABLE,
)


@pytest.fixture
def files(bench_to: Callable[[str], Bench]) -> Iterator[Callable[..., Bench]]:
    """Create benches to a kind of file, whose table is created by statements and has the former rows."""
    opened = ExitStack()

    def make(kind: str, *statements: str) -> Bench:
        bench = bench_to(kind)
        opened.enter_context(opened_file(bench.destination))
        bench.at_source("CREATE TABLE s (k INTEGER, v TEXT)", "INSERT INTO s VALUES (1, 'new'), (2, 'new'), (3, 'new')")
        if statements:
            schema = ["CREATE SCHEMA sync"] if kind == "duckdb" else []
            insert = f"INSERT INTO {TABLE[kind]} (k, v) VALUES (7, 'former'), (8, 'former')"
            # before the table comes what its columns need
            after = next(number for number, sql in enumerate(statements, start=1) if "sync.t" in sql)
            bench.at_destination(*schema, *statements[:after], insert, *statements[after:])
        return bench

    with opened:
        yield make

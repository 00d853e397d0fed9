"""No row is left out, whatever the types of the watermark are at the source and in the destination."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

import pytest

from connections.sdk.schema import TableName
from runs.engine.plan import Plan, Strategy
from tests.harness.bench import Bench
from tests.harness.kept_sessions import opened_file
from tests.scenarios.watermark_histories import DESTINATIONS, SOURCES, TEXT, Pair, history, pairs


@dataclass(slots=True)
class Growing:
    """A pair's tables: batches of values to insert into the source, and the rows inserted so far."""

    pair: Pair
    number: int
    strategy: Strategy
    batches: list[list[str]]
    inserted: dict[int, str] = field(default_factory=dict)

    def plan(self, bench: Bench) -> Plan:
        return bench.plan(
            f"SELECT id, w FROM s{self.number}",
            strategy=self.strategy,
            merge_key=("id",),
            watermark="w",
            dest_table=TableName("", f"t{self.number}"),
            module=f"m{self.number}",
        )

    def insert(self, batch: int) -> str:
        """Return the statement that inserts a batch."""
        rows = dict(enumerate(self.batches[batch], start=len(self.inserted)))
        self.inserted |= rows
        return f"INSERT INTO s{self.number} VALUES " + ", ".join(f"({row}, {value})" for row, value in rows.items())


def failures(bench: Bench, chosen: Sequence[Pair], random: Random, *, batches: int) -> list[str]:
    """Execute a run for each pair after each batch of inserts; return a message if not all rows arrived once."""
    strategies = [Strategy.INCREMENTAL, Strategy.UPSERT, Strategy.APPEND]
    tables = [
        Growing(pair, number, random.choice(strategies), history(pair, random, batches=batches))
        for number, pair in enumerate(chosen)
    ]
    bench.at_source(*(f"CREATE TABLE s{table.number} (id INTEGER, w {table.pair.declared})" for table in tables))
    bench.at_destination(*(f"CREATE TABLE t{t.number} (id BIGINT, w {t.pair.dest_declared})" for t in tables))
    arrived = " UNION ALL ".join(f"SELECT {table.number}, id FROM t{table.number}" for table in tables)
    messages = list[str]()
    for batch in range(batches):
        bench.at_source(*(table.insert(batch) for table in tables))
        queries = [bench.run(table.plan(bench)).source_sql for table in tables]
        rows = sorted(bench.rows(arrived))
        for table, query in zip(tables, queries, strict=True):
            ids = [row for number, row in rows if number == table.number]
            if ids != list(table.inserted):
                messages.append(f"{table.pair}, {table.strategy}: of {table.inserted} {ids} arrived: {query}")
    return messages


# one for each way in which a source and a destination sort differently, with the seed of a history that shows it
CHOSEN = [
    ("sqlite", "postgresql", "TEXT", "timestamptz", 7),
    ("sqlite", "postgresql", "DATETIME", "timestamptz", 7),
    ("sqlite", "postgresql", "TIMESTAMP", "timestamp", 4),
    ("sqlite", "postgresql", "TIME", "time", 4),
    ("sqlite", "postgresql", "", "text", 0),
    ("sqlite", "sqlite", "TEXT", "TEXT", 0),
    ("postgresql", "postgresql", "text", "timestamptz", 7),
    ("duckdb", "duckdb", "VARCHAR", "TIMESTAMP", 4),
]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(("source", "dest", "declared", "dest_declared", "seed"), CHOSEN)
def test_no_row_is_left_out_where_source_and_destination_sort_differently(
    between: Callable[[str, str], Bench], source: str, dest: str, declared: str, dest_declared: str, seed: int
) -> None:
    bench = between(source, dest)
    pair = next(p for p in pairs(source, dest) if (p.declared, p.dest_declared) == (declared, dest_declared))
    with opened_file(bench.destination):
        assert failures(bench, [pair], Random(seed), batches=4) == []


@pytest.mark.matrix
@pytest.mark.parametrize(("source", "declared"), [(kind, declared) for kind in SOURCES for declared in SOURCES[kind]])
@pytest.mark.parametrize("dest", DESTINATIONS)
def test_no_row_is_left_out_between_any_two_types(
    between: Callable[[str, str], Bench], source: str, declared: str, dest: str
) -> None:
    bench, random = between(source, dest), Random(f"{source} {declared} {dest}")
    chosen = [pair for pair in pairs(source, dest) if pair.declared == declared]
    # texts change their form from batch to batch
    batches = 3 if SOURCES[source][declared] == TEXT else 2
    with opened_file(bench.destination):
        assert failures(bench, chosen, random, batches=batches) == []

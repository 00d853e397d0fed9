"""No row is left out, whatever the types of the watermark are at the source and in the destination."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from connections.sdk.schema import TableName
from runs.engine.plan import Strategy
from tests.harness.bench import Bench, fetch
from tests.scenarios.watermark_histories import DESTINATIONS, SOURCES, TEXT, Pair, history, pairs


def missing(bench: Bench, pair: Pair, number: int, random: Random, *, batches: int) -> list[str]:
    """Execute a run after each batch of inserts; return a message if a row did not arrive."""
    name = f"t{number}"
    bench.at_source(f"CREATE TABLE s{number} (id INTEGER, w {pair.declared})")
    bench.at_destination(f"CREATE TABLE {name} (id BIGINT, w {pair.dest_declared})")
    strategy = random.choice([Strategy.INCREMENTAL, Strategy.UPSERT, Strategy.APPEND])
    plan = bench.plan(
        f"SELECT id, w FROM s{number}",
        strategy=strategy,
        merge_key=("id",),
        watermark="w",
        dest_table=TableName("", name),
        module=f"m{number}",
    )
    inserted = dict[int, str]()
    for values in history(pair, random, batches=batches):
        rows = dict(enumerate(values, start=len(inserted)))
        inserted |= rows
        bench.at_source(
            f"INSERT INTO s{number} VALUES " + ", ".join(f"({row}, {value})" for row, value in rows.items())
        )
        source_sql = bench.run(plan).source_sql
        arrived = [row for (row,) in fetch(bench.destination, f"SELECT id FROM {name} ORDER BY id")]
        if arrived != sorted(inserted):
            left_out = [value for row, value in inserted.items() if row not in arrived]
            return [
                f"{pair}, {strategy}: of {list(inserted.values())} {arrived} arrived, without {left_out}: {source_sql}"
            ]
    return []


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
    assert missing(bench, pair, 0, Random(seed), batches=4) == []


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
    messages = [missing(bench, pair, number, random, batches=batches) for number, pair in enumerate(chosen)]
    assert sum(messages, []) == []

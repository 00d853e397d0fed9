"""Runs a module, changes something behind its back, and verifies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runs.engine.plan import Strategy
from runs.engine.verify.pace import Pace
from runs.engine.verify.verify import Options, VerificationResult, verify
from tests.benches.bench import Bench


def quick() -> Pace:
    return Pace(per_second=1000)


def verified(
    bench: Bench,
    query: str,
    *,
    columns: tuple[str, ...] = (),
    since: str = "",
    log: Callable[[str], None] = lambda text: None,
    **changes: Any,
) -> VerificationResult:
    """Verify `sync.t`; ``changes`` are fields of the plan, by default an upsert by `id`."""
    plan = bench.plan(query, **{"strategy": Strategy.UPSERT, "merge_key": ("id",), **changes})
    return verify(plan, Options(columns=columns, since=since, pace=quick()), log=log)


def counts(found: VerificationResult) -> tuple[int, int, int]:
    """Rows missing, extra, different."""
    counted = found.outcome.counts
    return counted.missing, counted.extra, counted.different


def table_of(bench: Bench) -> str:
    return '"sync.t"' if bench.destination.kind == "sqlite" else "sync.t"


def told(bench: Bench, query: str, **changes: Any) -> tuple[str, tuple[int, int, int]]:
    """Where the rows were hashed and why, and how many are missing, extra and different."""
    said = list[str]()
    found = verified(bench, query, log=said.append, **changes)
    return said[0], counts(found)


def hashed_by_the_server(bench: Bench, query: str, **changes: Any) -> tuple[int, int, int]:
    """Verify, see to it that PostgreSQL hashes its rows itself, and return the counts."""
    why, found = told(bench, query, **changes)
    assert "postgresql hashes its rows itself" in why
    return found


def why_read(bench: Bench, query: str, **changes: Any) -> str:
    """Verify tables that are equal, and return why their rows are read."""
    why, found = told(bench, query, **changes)
    assert found == (0, 0, 0)
    return why.removeprefix("rows are read and hashed here: ")

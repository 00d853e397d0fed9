"""Runs a module, changes something behind its back, and verifies."""

from __future__ import annotations

from typing import Any

from runs.engine.plan import Strategy
from runs.engine.verify.pace import Pace
from runs.engine.verify.verify import Found, Options, verify
from tests.runs.engine.bench import Bench


def quick() -> Pace:
    return Pace(per_second=1000)


def verified(bench: Bench, query: str, *, columns: tuple[str, ...] = (), since: str = "", **changes: Any) -> Found:
    """Verify `sync.t`; ``changes`` are fields of the plan, by default an upsert by `id`."""
    plan = bench.plan(query, **{"strategy": Strategy.UPSERT, "merge_key": ("id",), **changes})
    return verify(plan, Options(columns=columns, since=since, pace=quick()))


def counts(found: Found) -> tuple[int, int, int]:
    """Rows missing, extra, different."""
    counted = found.outcome.counts
    return counted.missing, counted.extra, counted.different

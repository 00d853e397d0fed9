"""Verifications of the table `sync.t` for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runs.engine.plan import Strategy
from runs.engine.verify.pace import Pace
from runs.engine.verify.verify import Options, VerificationResult, verify_module
from tests.harness.bench import Bench


def fast_pace() -> Pace:
    """Return a pace that does not slow tests down."""
    return Pace(per_second=1000, seconds_between_reads=0.05)


def run_verification(
    bench: Bench,
    query: str,
    *,
    columns: tuple[str, ...] = (),
    since: str = "",
    log: Callable[[str], None] = lambda text: None,
    **changes: Any,
) -> VerificationResult:
    """Verify `sync.t`. ``changes`` are fields of the plan, which is by default an upsert by `id`."""
    plan = bench.plan(query, **{"strategy": Strategy.UPSERT, "merge_key": ("id",), **changes})
    return verify_module(plan, Options(columns=columns, since=since, pace=fast_pace()), log=log)


def counts(result: VerificationResult) -> tuple[int, int, int]:
    """Return the numbers of missing, extra and different rows."""
    differences = result.comparison.counts
    return differences.missing, differences.extra, differences.different


def table_of(bench: Bench) -> str:
    """Return the name of the table `sync.t` in the SQL of the destination."""
    return '"sync.t"' if bench.destination.kind == "sqlite" else "sync.t"


def _verify_with_log(bench: Bench, query: str, **changes: Any) -> tuple[str, tuple[int, int, int]]:
    """Verify; return the first log line, which says where the rows are hashed and why, and the counts."""
    log = list[str]()
    result = run_verification(bench, query, log=log.append, **changes)
    return log[0], counts(result)


def verify_on_server(bench: Bench, query: str, **changes: Any) -> tuple[int, int, int]:
    """Verify, check that PostgreSQL hashes its rows itself, and return the counts."""
    reason, differences = _verify_with_log(bench, query, **changes)
    assert "postgresql hashes its rows itself" in reason
    return differences


def reason_for_reading(bench: Bench, query: str, **changes: Any) -> str:
    """Verify tables that are equal; return the reason why their rows are read."""
    reason, differences = _verify_with_log(bench, query, **changes)
    assert differences == (0, 0, 0)
    return reason.removeprefix("rows are read and hashed here: ")

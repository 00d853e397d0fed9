"""The SQL statements of the merge strategies, one file per strategy; `statement` is shared by all of them."""

from __future__ import annotations

from runs.engine.plan import Strategy
from runs.engine.strategies import append, full, incremental, upsert

STRATEGIES = {
    Strategy.FULL: full.statements,
    Strategy.INCREMENTAL: incremental.statements,
    Strategy.APPEND: append.statements,
    Strategy.UPSERT: upsert.statements,
}

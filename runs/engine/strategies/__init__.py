"""The SQL of each merge strategy. Each of its modules is a strategy, except for `statement`, which all use."""

from __future__ import annotations

from runs.engine.plan import Strategy
from runs.engine.strategies import append, full, incremental, upsert

STRATEGIES = {
    Strategy.FULL: full.statements,
    Strategy.INCREMENTAL: incremental.statements,
    Strategy.APPEND: append.statements,
    Strategy.UPSERT: upsert.statements,
}

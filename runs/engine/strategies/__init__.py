"""The SQL statements of the merge strategies, one file per strategy; `statement` is shared by all of them."""

from __future__ import annotations

from runs.engine.plan import Strategy
from runs.engine.strategies.append import append_statements
from runs.engine.strategies.full import full_statements
from runs.engine.strategies.incremental import incremental_statements
from runs.engine.strategies.upsert import upsert_statements

STRATEGIES = {
    Strategy.FULL: full_statements,
    Strategy.INCREMENTAL: incremental_statements,
    Strategy.APPEND: append_statements,
    Strategy.UPSERT: upsert_statements,
}

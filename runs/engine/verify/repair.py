"""From what a verification found to the run that mends it: the ranges that differ, through staging and publish."""

from __future__ import annotations

from dataclasses import replace

from connections import registry
from connections.sdk.errors import ConfigurationInvalid
from runs.engine.connecting import session
from runs.engine.plan import Plan, Repair, Strategy
from runs.engine.verify.comparison import Outcome
from runs.engine.verify.segments import Segment
from runs.engine.verify.verify import Found


def repair_plan(plan: Plan, found: Found) -> Plan:
    """Return the plan of the repair: an upsert by key without a watermark, then the deletion of extra rows.

    Where the destination has no unique key its rows may be doubled: then matching rows are replaced. Raises
    ConfigurationInvalid when nothing names a row, or when an append module can be given no row without doubling some.
    """
    if not found.compared.key:
        raise ConfigurationInvalid(
            f"{plan.module} has no merge key, so single rows cannot be repaired.",
            hint=f"Read everything again: manage.py runmodule {plan.module} --full-refresh.",
        )
    key = tuple(column.dest_name for column in found.compared.key_columns)
    strategy = _strategy(plan, key)
    return replace(
        plan,
        strategy=strategy,
        merge_key=key,
        watermark=plan.watermark if plan.keep_latest or strategy is Strategy.APPEND else "",
        key_sync=False,
        repair=_part(found, deletes=_deletes(plan, found)),
    )


def _deletes(plan: Plan, found: Found) -> bool:
    """Whether rows of the repaired part that the source does not return are to go: only what was compared."""
    compared, outcome = found.compared, found.outcome
    # what append once added stays, whatever the source forgets
    if plan.strategy is Strategy.APPEND or compared.partial or not outcome.counts.extra:
        return False
    # by their watermark other rows of the same ranges were left out, of single keys none
    return not compared.bounded or outcome.range_keys is not None


def _strategy(plan: Plan, key: tuple[str, ...]) -> Strategy:
    if _is_unique(plan, key):
        return Strategy.UPSERT
    if plan.strategy is not Strategy.APPEND:
        return Strategy.INCREMENTAL
    if not plan.watermark:
        raise ConfigurationInvalid(
            f"{plan.module} appends without a watermark column to a table without a unique key, so a repair would"
            " double rows or take rows of one key away.",
            hint=f"Give {plan.dest_table} a unique key on {', '.join(key)}, or the module a watermark_column.",
        )
    # adds the rows that are not there, each compared as a whole, and replaces none
    return Strategy.APPEND


def _is_unique(plan: Plan, key: tuple[str, ...]) -> bool:
    with session(plan.destination) as opened:
        info = registry.connector(plan.destination.kind).introspector.describe_table(opened, plan.dest_table)
    return info is not None and set(key) in [set(unique) for unique in (info.primary_key, *info.unique_keys)]


def _part(found: Found, *, deletes: bool) -> Repair:
    """Return the single keys that differ while they are few, else the segments that hold them, else the whole table."""
    column = found.compared.range_column
    if column is None:
        return Repair(deletes=deletes)
    outcome = found.outcome
    segments = _keys(outcome) if outcome.range_keys is not None else [leaf.segment for leaf in outcome.leaves]
    name = found.compared.columns[column].dest_name
    return Repair(column=name, segments=tuple(segments), deletes=deletes)


def _keys(outcome: Outcome) -> list[Segment]:
    """Return one segment for each run of neighbouring keys."""
    segments: list[Segment] = []
    assert outcome.range_keys is not None
    if None in outcome.range_keys:
        segments.append(Segment(low=0, high=0, nulls=True))
    for key in sorted(int(text) for text in outcome.range_keys if text is not None):
        if segments and segments[-1].high == key and not segments[-1].nulls:
            segments[-1] = replace(segments[-1], high=key + 1)
        else:
            segments.append(Segment(low=key, high=key + 1, nulls=False))
    return segments

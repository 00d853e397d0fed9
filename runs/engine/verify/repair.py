"""From what a verification found to the run that mends it: the ranges that differ, through staging and publish."""

from __future__ import annotations

from dataclasses import replace

from connections import registry
from connections.sdk.errors import ConfigurationInvalid
from runs.engine.connecting import open_session
from runs.engine.plan import Plan, Repair, Strategy
from runs.engine.verify.outcome import Outcome
from runs.engine.verify.segments import Segment
from runs.engine.verify.verify import Found


def repair_plan(plan: Plan, found: Found) -> Plan:
    """Return the plan of the repair: an upsert by key without a watermark, then the deletion of extra rows.

    Rows are rewritten in place, so columns that the query does not fill keep their values. Nothing is rewritten or
    deleted that the module's own runs would leave alone: see `kept`. Raises ConfigurationInvalid when nothing names a
    row, or when the destination cannot be changed by key.
    """
    if not found.compared.key:
        raise ConfigurationInvalid(
            f"{plan.module} has no merge key, so single rows cannot be repaired.",
            hint=f"Read everything again: manage.py runmodule {plan.module} --full-refresh.",
        )
    if not plan.supports_deletes:
        raise ConfigurationInvalid(
            f"{plan.dest_table} takes no deletes (supports_deletes of its connection is off), so it cannot be repaired:"
            " each row that differs would be inserted a second time.",
            hint="Turn supports_deletes of the connection on if its system merges by key at once; otherwise run "
            f"{plan.module}, and let the system merge.",
        )
    key = tuple(column.dest_name for column in found.compared.key_columns)
    appends = plan.strategy is Strategy.APPEND
    return replace(
        plan,
        strategy=Strategy.UPSERT,
        merge_key=key,
        watermark=plan.watermark if plan.keep_latest else "",
        # a key query of its own may name more rows than the query returns
        key_sync=plan.key_sync and bool(plan.key_sync_query) and plan.strategy is not Strategy.FULL and not appends,
        repair=_part(
            found,
            deletes=_deletes(plan, found),
            # an incremental run, too, replaces all rows of a key by one
            removes_duplicates=(_deletes_extra(plan) or plan.strategy is Strategy.INCREMENTAL)
            and not _is_unique(plan, key),
            rewrites=not appends,
        ),
    )


def kept(plan: Plan, found: Found) -> str:
    """Return which rows the repair leaves as they are, and why; empty when it leaves none."""
    counts, advice = found.outcome.counts, ""
    refresh = f"manage.py runmodule {plan.module} --full-refresh"
    if plan.strategy is Strategy.APPEND:
        if counts.extra or counts.different:
            advice = f"Runs that append change and delete nothing, so extra and different rows are kept; {refresh} "
            advice += "makes the table equal."
    elif counts.extra and not _deletes_extra(plan):
        advice = f"{plan.strategy.capitalize()} runs without key_sync delete nothing that the source no longer has, so "
        advice += f"extra rows are kept. Turn key_sync on to have them removed, or run {refresh}."
    elif counts.extra and plan.key_sync and plan.key_sync_query and plan.strategy is not Strategy.FULL:
        advice = "Extra rows whose keys key_sync_query returns are kept, as in every run."
    elif counts.extra and not _all_compared(found):
        advice = "Beyond few integer keys a repair with --since deletes nothing: older rows were not compared."
    return advice


def why_useless(plan: Plan, found: Found) -> str:
    """Return why a repair would change none of the rows that differ, and what to do; empty where it would."""
    try:
        part = repair_plan(plan, found).repair
    except ConfigurationInvalid as error:
        return f"{error.message} {error.hint}"
    assert part is not None
    counts = found.outcome.counts
    if counts.missing or (counts.different and part.rewrites) or part.deletes or part.removes_duplicates:
        return ""
    return kept(plan, found)


def _deletes_extra(plan: Plan) -> bool:
    """Return whether the module's own runs take away what the source no longer has."""
    return plan.strategy is Strategy.FULL or (plan.key_sync and plan.strategy is not Strategy.APPEND)


def _deletes(plan: Plan, found: Found) -> bool:
    if found.compared.partial or not found.outcome.counts.extra or not _deletes_extra(plan):
        return False
    if not _all_compared(found):
        return False
    return plan.strategy is Strategy.FULL or not plan.key_sync_query


def _all_compared(found: Found) -> bool:
    """Return whether every row of the repaired part was compared, and not only those since a watermark's value."""
    return not found.compared.bounded or found.outcome.range_keys is not None


def _is_unique(plan: Plan, key: tuple[str, ...]) -> bool:
    with open_session(plan.destination) as session:
        info = registry.connector(plan.destination.kind).introspector.describe_table(session, plan.dest_table)
    return info is not None and set(key) in [set(unique) for unique in (info.primary_key, *info.unique_keys)]


def _part(found: Found, *, deletes: bool, removes_duplicates: bool, rewrites: bool) -> Repair:
    """Return the single keys that differ while they are few, else the segments that hold them, else the whole table."""
    removes_duplicates = removes_duplicates and found.outcome.counts.extra > 0 and _all_compared(found)
    whole = Repair(deletes=deletes, removes_duplicates=removes_duplicates, rewrites=rewrites)
    column = found.compared.range_column
    if column is None:
        return whole
    outcome = found.outcome
    segments = _keys(outcome) if outcome.range_keys is not None else [leaf.segment for leaf in outcome.leaves]
    return replace(whole, column=found.compared.columns[column].dest_name, segments=tuple(segments))


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

"""Plans the run that repairs the differences found by a verification."""

from __future__ import annotations

from dataclasses import replace

from connections import registry
from connections.sdk.errors import ConfigurationInvalid
from runs.engine.plan import Plan, Repair, Strategy
from runs.engine.segments import Segment
from runs.engine.sessions import open_session
from runs.engine.verify.result import ComparisonResult
from runs.engine.verify.verify import VerificationResult


def repair_plan(plan: Plan, result: VerificationResult) -> Plan:
    """Return the plan of the repair: an upsert by key without a watermark, followed by the delete of extra rows.

    Rows are updated in place, so columns that the query does not fill keep their values. Rows that the module's own
    runs would not update or delete are not repaired: see `why_rows_are_kept`. Raises ConfigurationInvalid when the
    module has no key, or when the destination does not support deletes.
    """
    if not result.spec.key:
        raise ConfigurationInvalid(
            f"{plan.module} has no merge key, so single rows cannot be repaired.",
            hint=f"Read everything again: manage.py runmodule {plan.module} --full-refresh.",
        )
    if not plan.supports_deletes:
        raise ConfigurationInvalid(
            f"{plan.dest_table} does not support deletes (supports_deletes of its connection is off), so it cannot be "
            "repaired: each row that differs would be inserted a second time.",
            hint="Turn supports_deletes of the connection on if its system merges by key at once; otherwise run "
            f"{plan.module}, and let the system merge.",
        )
    key = tuple(column.dest_name for column in result.spec.key_columns)
    traits = plan.strategy.traits
    return replace(
        plan,
        strategy=Strategy.UPSERT,
        merge_key=key,
        watermark=plan.watermark if plan.keep_latest else "",
        # only with a key_sync_query, which may return more keys than the query does
        key_sync=plan.key_sync and bool(plan.key_sync_query) and not (traits.replaces_all or traits.only_adds),
        repair=_repair(
            result,
            deletes=_deletes(plan, result),
            # an incremental run also replaces all rows of a key by one
            removes_duplicates=(_deletes_extra(plan) or traits.replaces_matches) and not _is_unique(plan, key),
            rewrites=not traits.only_adds,
        ),
    )


def why_rows_are_kept(plan: Plan, result: VerificationResult) -> str:
    """Return a sentence about the rows that the repair does not change, and why; empty if there are none."""
    counts, advice = result.comparison.counts, ""
    refresh = f"manage.py runmodule {plan.module} --full-refresh"
    if plan.strategy.traits.only_adds:
        if counts.extra or counts.different:
            advice = "Runs with merge_strategy append never update or delete rows, so extra and different rows are "
            advice += f"kept; {refresh} makes the table equal."
    elif counts.extra and not _deletes_extra(plan):
        advice = f"{plan.strategy.capitalize()} runs without key_sync delete nothing that the source no longer has, so "
        advice += f"extra rows are kept. Turn key_sync on to have them removed, or run {refresh}."
    elif counts.extra and plan.key_sync and plan.key_sync_query and not plan.strategy.traits.replaces_all:
        advice = "Extra rows whose keys key_sync_query returns are kept, as in every run."
    elif counts.extra and not _all_compared(result):
        advice = "With --since, a repair deletes rows only by a few integer keys, because older rows were not compared."
    return advice


def why_useless(plan: Plan, result: VerificationResult) -> str:
    """Return why a repair would change none of the rows that differ, and what to do; empty if it would change some."""
    try:
        part = repair_plan(plan, result).repair
    except ConfigurationInvalid as error:
        return f"{error.message} {error.hint}"
    assert part is not None
    counts = result.comparison.counts
    if counts.missing or (counts.different and part.rewrites) or part.deletes or part.removes_duplicates:
        return ""
    return why_rows_are_kept(plan, result)


def _deletes_extra(plan: Plan) -> bool:
    """Return whether the module's own runs delete rows that the source no longer has."""
    return plan.strategy.traits.replaces_all or (plan.key_sync and not plan.strategy.traits.only_adds)


def _deletes(plan: Plan, result: VerificationResult) -> bool:
    if result.spec.partial or not result.comparison.counts.extra or not _deletes_extra(plan):
        return False
    if not _all_compared(result):
        return False
    return plan.strategy.traits.replaces_all or not plan.key_sync_query


def _all_compared(result: VerificationResult) -> bool:
    """Return whether every row of the repaired part was compared, and not only those since a watermark's value."""
    return not result.spec.since_only or result.comparison.range_keys is not None


def _is_unique(plan: Plan, key: tuple[str, ...]) -> bool:
    with open_session(plan.destination) as session:
        info = registry.connector(plan.destination.kind).introspector.describe_table(session, plan.dest_table)
    return info is not None and set(key) in [set(unique) for unique in (info.primary_key, *info.unique_keys)]


def _repair(result: VerificationResult, *, deletes: bool, removes_duplicates: bool, rewrites: bool) -> Repair:
    """Return the repair of the differing keys if they are few, else of their segments, else of the whole table."""
    removes_duplicates = removes_duplicates and result.comparison.counts.extra > 0 and _all_compared(result)
    whole = Repair(deletes=deletes, removes_duplicates=removes_duplicates, rewrites=rewrites)
    column = result.spec.range_column
    if column is None:
        return whole
    comparison = result.comparison
    are_few = comparison.range_keys is not None
    segments = _segments_of_keys(comparison) if are_few else [leaf.segment for leaf in comparison.leaves]
    return replace(whole, column=result.spec.columns[column].dest_name, segments=tuple(segments))


def _segments_of_keys(comparison: ComparisonResult) -> list[Segment]:
    """Return one segment for each sequence of adjacent keys."""
    segments: list[Segment] = []
    assert comparison.range_keys is not None
    if None in comparison.range_keys:
        segments.append(Segment(low=0, high=0, nulls=True))
    for key in sorted(int(text) for text in comparison.range_keys if text is not None):
        if segments and segments[-1].high == key and not segments[-1].nulls:
            segments[-1] = replace(segments[-1], high=key + 1)
        else:
            segments.append(Segment(low=key, high=key + 1, nulls=False))
    return segments

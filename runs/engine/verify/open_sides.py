"""Determines what a verification compares, the columns and the key, and opens the two sides."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from connections import registry
from connections.sdk.capabilities import Cap
from connections.sdk.errors import ColumnMissing, TableMissing
from connections.sdk.schema import Column, TableInfo
from connections.sdk.sql.row_hash import NotHashed
from modules.query.placeholders import find_placeholders
from modules.query.rewrite import add_predicate
from runs.engine.destination import Destination
from runs.engine.extract.columns import columns_from_probe, with_destination_types
from runs.engine.plan import Plan
from runs.engine.segments import Segment
from runs.engine.sessions import open_session
from runs.engine.verify.differences import SideName, order_type
from runs.engine.verify.open_server_sides import ServerSideFactory
from runs.engine.verify.side import ComparisonSpec, QueryAndTable, Side, Sides
from runs.engine.verify.since import Since
from runs.engine.verify.streamed_side import StreamedSide
from runs.jrunner.routes.same_file import mark_same_file


def describe(dest: Destination, query: str) -> QueryAndTable:
    """Return the query's columns and the table. Raises TableMissing before the module's first run."""
    plan = dest.plan
    info = dest.describe(dest.table)
    if info is None:
        raise TableMissing(
            f"There is no table {plan.dest_table} to verify: {plan.module} has not run yet.",
            hint=f"Run it first: manage.py runmodule {plan.module}.",
        )
    with open_session(plan.source, Cap.READ) as source:
        probed = registry.connector(plan.source.kind, Cap.READ).introspector.describe_query(source, query)
    named = columns_from_probe(plan, query, probed)
    columns, _ = with_destination_types(dest, named, info)
    if not plan.merge_key:
        # the table's own key identifies the rows, with its own collations
        collations = info.key_collations(_table_key(info, [column.dest_name for column in columns]))
        columns = tuple(replace(column, collation=collations.get(column.dest_name, "")) for column in columns)
    return QueryAndTable(query=query, columns=columns, info=info)


def comparison_spec(plan: Plan, described: QueryAndTable, names: Sequence[str], since: Since | None) -> ComparisonSpec:
    """Return what to compare: the columns in ``names`` (all if it is empty), and always those of the key.

    The key is the merge key, else a key of the table that the query returns. Raises ColumnMissing for unknown names.
    """
    known = [column.dest_name for column in described.columns]
    if unknown := [name for name in names if name not in known]:
        raise ColumnMissing(f"The query returns no column “{unknown[0]}”.", hint=f"It returns {', '.join(known)}.")
    key = plan.merge_key or _table_key(described.info, known)
    one_per_key = plan.keep_latest and bool(plan.watermark) and bool(plan.merge_key)
    needed = {*((since.column,) if since else ()), *((plan.watermark,) if one_per_key else ())}
    wanted = {*names, *key, *needed} if names else set(known)
    columns = tuple(column for column in described.columns if column.dest_name in wanted)
    positions = {column.dest_name: position for position, column in enumerate(columns)}
    dialect = registry.dialect(plan.destination.kind)
    spec = ComparisonSpec(
        columns=columns,
        key=tuple(positions[name] for name in key),
        partial=bool(find_placeholders(plan.source_query, registry.dialect(plan.source.kind))),
        since_only=since is not None,
        ascii_only=dialect.folds_ascii_only,
        signed_zero=dialect.keeps_signed_zero,
        one_per_key=one_per_key,
        latest_by=_latest_by(columns, plan.watermark) if one_per_key else None,
    )
    return replace(spec, range_column=_range_column(plan, spec))


def _latest_by(columns: Sequence[Column], watermark: str) -> int | None:
    position = [column.dest_name for column in columns].index(watermark)
    return position if order_type(columns[position].data_type) else None


def _table_key(info: TableInfo, known: Sequence[str]) -> tuple[str, ...]:
    keys = [info.primary_key, *info.unique_keys]
    return next((key for key in keys if key and set(key) <= set(known)), ())


def _range_column(plan: Plan, spec: ComparisonSpec) -> int | None:
    """Return the key's first column if it is an integer in the destination and at the source, else None."""
    if not spec.key:
        return None
    column = spec.columns[spec.key[0]]
    source = registry.datatypes(plan.source.kind).parse(column.source_type) if column.source_type else None
    both = column.data_type.is_integer and source is not None and source.is_integer
    return spec.key[0] if both else None


def open_sides(
    plan: Plan, described: QueryAndTable, spec: ComparisonSpec, since: Since | None, stack: ExitStack
) -> Sides:
    """Open both sides; the stack closes them. Rows are hashed by their own system if it can, else here."""
    factory = ServerSideFactory(plan, described, spec, since)
    both = factory.both(stack)
    if isinstance(both, Sides):
        return both
    shared = both if plan.source.kind == plan.destination.kind else factory.shared(stack)
    own = {} if isinstance(shared, NotHashed) else shared
    source: Side = own.get("source") or _streamed_source(plan, described, spec, since, stack, shared=bool(own))
    destination: Side = own.get("destination") or _streamed_destination(plan, spec, since, stack, shared=bool(own))
    if isinstance(shared, NotHashed):
        return Sides(source=source, destination=destination, why=f"rows are read and hashed here: {shared.why}")
    kinds: dict[SideName, str] = {"source": plan.source.kind, "destination": plan.destination.kind}
    reasons = (
        f"{kind} hashes its rows itself" if name in own else f"rows of {kind} are read and hashed here"
        for name, kind in kinds.items()
    )
    return Sides(source=source, destination=destination, why="; ".join(reasons))


def _streamed_source(
    plan: Plan, described: QueryAndTable, spec: ComparisonSpec, since: Since | None, stack: ExitStack, *, shared: bool
) -> StreamedSide:
    dialect = registry.dialect(plan.source.kind)
    key = None if spec.range_column is None else spec.columns[spec.range_column]

    def query(segment: Segment) -> str:
        if key is None or not segment.condition("k"):
            return described.query
        return add_predicate(described.query, dialect, key.dest_name, segment.condition, result_name=key.source_name)

    side = StreamedSide(
        mark_same_file(plan.source, plan.destination)[0],
        query=query,
        read=described.columns,
        spec=spec,
        strip_nul_bytes=plan.strip_nul_bytes,
        condition=since.streamed_condition(spec.columns) if since else "",
        shared=shared,
    )
    stack.callback(side.close)
    return side


def _streamed_destination(
    plan: Plan, spec: ComparisonSpec, since: Since | None, stack: ExitStack, *, shared: bool
) -> StreamedSide:
    dialect = registry.dialect_for(plan.destination)
    listed = dialect.columns([column.dest_name for column in spec.columns])
    text = f"SELECT {listed} FROM {dialect.qualified(plan.dest_table)}"
    key = None if spec.range_column is None else dialect.quote(spec.columns[spec.range_column].dest_name)

    def query(segment: Segment) -> str:
        condition = segment.condition(key) if key else ""
        return f"{text} WHERE {condition}" if condition else text

    side = StreamedSide(
        mark_same_file(plan.source, plan.destination)[1],
        query=query,
        read=spec.columns,
        spec=spec,
        strip_nul_bytes=False,
        condition=since.streamed_condition(spec.columns) if since else "",
        shared=shared,
    )
    stack.callback(side.close)
    return side

"""From a module's plan to the two sides that are compared: which columns, which key, hashed where."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from connections import registry
from connections.sdk.capabilities import Cap
from connections.sdk.errors import ColumnMissing, TableMissing
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Session
from connections.sdk.schema import Column, TableInfo
from connections.sdk.sql.hashing import NotHashed
from modules.query.placeholders import find_placeholders
from modules.query.rewrite import add_predicate
from runs.engine.connecting import session
from runs.engine.extract import columns as column_choice
from runs.engine.plan import Plan
from runs.engine.verify.differences import SideName
from runs.engine.verify.marks import mark_type
from runs.engine.verify.segments import Segment
from runs.engine.verify.server_sides import ServerSides
from runs.engine.verify.side import Compared, Side, Sides, Tables
from runs.engine.verify.since import Since
from runs.engine.verify.streamed_side import StreamedSide


def describe(plan: Plan, query: str, opened: Session) -> Tables:
    """Describe both sides. Raises TableMissing before the first run."""
    connector = registry.connector(plan.destination.kind)
    info = connector.introspector.describe_table(opened, plan.dest_table)
    if info is None:
        raise TableMissing(
            f"There is no table {plan.dest_table} to verify: {plan.module} has not run yet.",
            hint=f"Run it first: manage.py runmodule {plan.module}.",
        )
    with session(plan.source, Cap.READ) as source:
        probed = registry.connector(plan.source.kind, Cap.READ).introspector.describe_query(source, query)
    named = column_choice.named(plan, query, probed)
    columns, _ = column_choice.typed(plan, named, info, lambda name: connector.introspector.has_type(opened, name))
    if not plan.merge_key:
        # the table's own key names the rows, and compares as it says
        collations = info.key_collations(_table_key(info, [column.dest_name for column in columns]))
        columns = tuple(replace(column, collation=collations.get(column.dest_name, "")) for column in columns)
    return Tables(query=query, columns=columns, info=info)


def compared(plan: Plan, tables: Tables, names: Sequence[str], since: Since | None) -> Compared:
    """Return what is compared: the columns named (all when none are), the key's always.

    The key is the merge key, else a key of the table that the query returns. Raises ColumnMissing for unknown names.
    """
    known = [column.dest_name for column in tables.columns]
    if unknown := [name for name in names if name not in known]:
        raise ColumnMissing(f"The query returns no column “{unknown[0]}”.", hint=f"It returns {', '.join(known)}.")
    key = plan.merge_key or _table_key(tables.info, known)
    one_per_key = plan.keep_latest and bool(plan.watermark) and bool(plan.merge_key)
    needed = {*((since.column,) if since else ()), *((plan.watermark,) if one_per_key else ())}
    wanted = {*names, *key, *needed} if names else set(known)
    columns = tuple(column for column in tables.columns if column.dest_name in wanted)
    positions = {column.dest_name: position for position, column in enumerate(columns)}
    chosen = Compared(
        columns=columns,
        key=tuple(positions[name] for name in key),
        partial=bool(find_placeholders(plan.source_query, registry.dialect(plan.source.kind))),
        bounded=since is not None,
        ascii_only=plan.destination.kind == "sqlite",
        signed_zero=plan.destination.kind != "sqlite",
        one_per_key=one_per_key,
        latest_by=_latest_by(columns, plan.watermark) if one_per_key else None,
    )
    return replace(chosen, range_column=_range_column(plan, chosen))


def _latest_by(columns: Sequence[Column], watermark: str) -> int | None:
    position = [column.dest_name for column in columns].index(watermark)
    return position if mark_type(columns[position].data_type) else None


def _table_key(info: TableInfo, known: Sequence[str]) -> tuple[str, ...]:
    keys = [info.primary_key, *info.unique_keys]
    return next((key for key in keys if key and set(key) <= set(known)), ())


def _range_column(plan: Plan, chosen: Compared) -> int | None:
    """Return the key's first column if it is an integer in the destination and at the source, else None."""
    if not chosen.key:
        return None
    column = chosen.columns[chosen.key[0]]
    source = registry.datatypes(plan.source.kind).parse(column.source_type) if column.source_type else None
    both = column.data_type.is_integer and source is not None and source.is_integer
    return chosen.key[0] if both else None


def open_sides(plan: Plan, tables: Tables, chosen: Compared, since: Since | None, stack: ExitStack) -> Sides:
    """Open both sides; the stack closes them. A system that can hashes its rows itself."""
    servers = ServerSides(plan, tables, chosen, since)
    both = servers.both(stack)
    if isinstance(both, Sides):
        return both
    found = both if plan.source.kind == plan.destination.kind else servers.shared(stack)
    own = {} if isinstance(found, NotHashed) else found
    source: Side = own.get("source") or _streamed_source(plan, tables, chosen, since, stack, shared=bool(own))
    destination: Side = own.get("destination") or _streamed_destination(plan, chosen, since, stack, shared=bool(own))
    if isinstance(found, NotHashed):
        return Sides(source=source, destination=destination, why=f"rows are read and hashed here: {found.why}")
    kinds: dict[SideName, str] = {"source": plan.source.kind, "destination": plan.destination.kind}
    said = (
        f"{kind} hashes its rows itself" if name in own else f"rows of {kind} are read and hashed here"
        for name, kind in kinds.items()
    )
    return Sides(source=source, destination=destination, why="; ".join(said))


def _streamed_source(
    plan: Plan, tables: Tables, chosen: Compared, since: Since | None, stack: ExitStack, *, shared: bool
) -> StreamedSide:
    dialect = registry.dialect(plan.source.kind)
    key = None if chosen.range_column is None else chosen.columns[chosen.range_column]

    def query(segment: Segment) -> str:
        if key is None or not segment.condition("k"):
            return tables.query
        return add_predicate(tables.query, dialect, key.dest_name, segment.condition, result_name=key.source_name)

    side = StreamedSide(
        _sharing(plan.source, plan.destination),
        query=query,
        read=tables.columns,
        compared=chosen,
        strip_nul_bytes=plan.strip_nul_bytes,
        condition=since.streamed_condition(chosen.columns) if since else "",
        shared=shared,
    )
    stack.callback(side.close)
    return side


def _streamed_destination(
    plan: Plan, chosen: Compared, since: Since | None, stack: ExitStack, *, shared: bool
) -> StreamedSide:
    dialect = registry.dialect_for(plan.destination)
    listed = dialect.columns([column.dest_name for column in chosen.columns])
    text = f"SELECT {listed} FROM {dialect.qualified(plan.dest_table)}"
    key = None if chosen.range_column is None else dialect.quote(chosen.columns[chosen.range_column].dest_name)

    def query(segment: Segment) -> str:
        condition = segment.condition(key) if key else ""
        return f"{text} WHERE {condition}" if condition else text

    side = StreamedSide(
        _sharing(plan.destination, plan.source),
        query=query,
        read=chosen.columns,
        compared=chosen,
        strip_nul_bytes=False,
        condition=since.streamed_condition(chosen.columns) if since else "",
        shared=shared,
    )
    stack.callback(side.close)
    return side


def _sharing(mine: ConnectionParameters, other: ConnectionParameters) -> ConnectionParameters:
    """Tell a reader when both sides are one file, which some systems lock."""
    if (mine.kind, mine.url) != (other.kind, other.url):
        return mine
    return replace(mine, options={**mine.options, "same_file": True})

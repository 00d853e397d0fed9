"""Executes a dry run: builds the source query and the merge SQL, and writes nothing anywhere.

If the source cannot be reached, that is only a warning.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from connections import registry
from connections.sdk.capabilities import Cap
from connections.sdk.errors import DatabaseMissing, NotSupported, TransientError
from connections.sdk.formatting import one_line
from connections.sdk.schema import Column, ColumnInfo, TableInfo
from runs.engine.destination import Destination
from runs.engine.events import Event, MergeSqlBuilt, MethodChosen, Warned
from runs.engine.extract.columns import (
    check_columns_known,
    columns_from_probe,
    columns_without_probe,
    with_destination_types,
)
from runs.engine.extract.query import bounded_query, source_query_event
from runs.engine.plan import Plan
from runs.engine.publish import destination_table, exchange, unfilled_columns
from runs.engine.publish.method import ChosenMethod, PublishMethod
from runs.engine.publish.statements import publish_statements, strategy_input
from runs.engine.sessions import for_inspection, open_session
from runs.engine.strategies import STRATEGIES
from runs.engine.watermarks.bounds import Bound
from runs.engine.watermarks.warnings import implied_warnings


def build(
    plan: Plan, query: str, bound: Bound | None, table: TableInfo | None, method: ChosenMethod
) -> Iterator[Event]:
    """Yield the source query and the merge SQL of a run, with its warnings.

    ``query`` is the query with its named watermarks, ``table`` the destination table if it exists.
    """
    probed = yield from _probe(plan, query)
    columns = columns_from_probe(plan, query, probed) if probed else columns_without_probe(plan, query, table)
    yield source_query_event(plan, query, bounded_query(plan, query, bound, columns))
    if not columns:
        yield Warned(
            "The merge SQL is not known before the first run: the query is SELECT * and there is no table yet."
        )
        return
    check_columns_known(plan, columns, table)
    destination_table.check_columns(plan, table, columns)
    yield from map(Warned, unfilled_columns.reset_by_incremental(plan, table, columns))
    yield from map(Warned, implied_warnings(plan, table, columns))
    if method.why or method.method is not PublishMethod.MERGE:
        yield MethodChosen(method.method, method.why)
    yield from _merge_sql(plan, columns, table, method, has_types=bool(probed))


def _probe(plan: Plan, query: str) -> Generator[Event, None, tuple[ColumnInfo, ...]]:
    """Return the query's columns; none, after a warning, when the source cannot be reached now.

    Raises what a run would raise for the connection, such as AuthenticationFailed or Protected, and for the query, such
    as TableMissing. Nothing is written: a missing database file is not created and raises DatabaseMissing.
    """
    try:
        connector = registry.connector(plan.source.kind, Cap.READ)
    except NotSupported:
        # this kind of system cannot be read yet
        return ()
    try:
        with open_session(for_inspection(plan.source), Cap.READ) as session:
            return connector.introspector.describe_query(session, query)
    except TransientError as error:
        yield Warned(f"The source could not be reached, so its tables and columns were not checked: {error.message}")
        return ()
    except DatabaseMissing as error:
        if plan.source.create:
            # a run would create the file, and then fail because the query's tables do not exist
            error.hint = "Check the path in the URL: a run would create an empty file there, which has no tables."
        raise


def _merge_sql(
    plan: Plan, columns: Sequence[Column], table: TableInfo | None, method: ChosenMethod, *, has_types: bool
) -> Iterator[Event]:
    """Build the publish statements; for a new table also those that create it, if the source's types are known.

    First comes the statement that creates the table's schema, if it is missing.
    """
    heading, warnings = "", list[str]()
    with Destination.open(plan) as dest:
        schema = dest.missing_schema(dest.table.schema)
        if table is None and has_types:
            columns, warnings = with_destination_types(dest, columns, None)
        truncate = method.method is not PublishMethod.DELETE
        inputs = strategy_input(dest, columns, table, null_keys=False, truncate=truncate)
        if table is None and not has_types:
            heading = (
                f"-- {one_line(str(dest.table))} does not exist; the first run creates it, with the source's types.\n\n"
            )
            built = [statement.sql for statement in STRATEGIES[plan.strategy](inputs)]
        elif method.exchanges:
            built = list(exchange.planned_statements(dest, columns, table))
        else:
            built = [statement.sql for statement in publish_statements(dest, columns, table, inputs)]
    yield from map(Warned, warnings)
    if schema:
        yield MergeSqlBuilt(f"{schema};")
    yield MergeSqlBuilt(heading + ";\n\n".join(built) + ";")

"""Describes the columns of the query for a dry run, which does not fail when the source cannot be reached."""

from __future__ import annotations

from collections.abc import Generator

from connections import registry
from connections.sdk.capabilities import Cap
from connections.sdk.errors import DatabaseMissing, NotSupported, TransientError
from connections.sdk.schema import ColumnInfo
from runs.engine.events import Event, Warned
from runs.engine.plan import Plan
from runs.engine.sessions import for_inspection, open_session


def probe(plan: Plan, query: str) -> Generator[Event, None, tuple[ColumnInfo, ...]]:
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
        if plan.source.options.get("create"):
            # a run would create the file, and then fail because the query's tables do not exist
            error.hint = "Check the path in the URL: a run would create an empty file there, which has no tables."
        raise

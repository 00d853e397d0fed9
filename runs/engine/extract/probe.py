"""Asks the source which columns its query returns, for a dry run, which a source out of reach does not fail."""

from __future__ import annotations

from collections.abc import Generator

from connections import registry
from connections.sdk.capabilities import Cap
from connections.sdk.errors import DatabaseMissing, NotSupported, TransientError
from connections.sdk.schema import ColumnInfo
from runs.engine.connecting import for_inspection, open_session
from runs.engine.events import Event, Warned
from runs.engine.plan import Plan


def probe(plan: Plan, query: str) -> Generator[Event, None, tuple[ColumnInfo, ...]]:
    """Return the query's columns, none when the source cannot be reached now: a warning then says why.

    Raises what a run would raise for the connection, such as AuthenticationFailed or Protected, and for the query, such
    as TableMissing. Nothing is written. A missing file raises DatabaseMissing, because it is not created here.
    """
    try:
        connector = registry.connector(plan.source.kind, Cap.READ)
    except NotSupported:
        # of such a system nothing is read yet
        return ()
    try:
        with open_session(for_inspection(plan.source), Cap.READ) as session:
            return connector.introspector.describe_query(session, query)
    except TransientError as error:
        yield Warned(f"The source could not be asked, so its tables and columns were not checked: {error.message}")
        return ()
    except DatabaseMissing as error:
        if plan.source.options.get("create"):
            # a run creates the file, and fails for the query's tables
            error.hint = "Check the path in the URL: a run would create an empty file there, which has no tables."
        raise

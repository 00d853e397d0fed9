"""Asks the source which columns its query returns, for a dry run: one that does not answer is no reason to fail."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from connections import registry
from connections.sdk.capabilities import Cap
from connections.sdk.errors import NotSupported, PipekitError, TransientError
from connections.sdk.schema import ColumnInfo
from runs.engine.connecting import hurried
from runs.engine.events import Event, Warned
from runs.engine.plan import Plan


def probe(plan: Plan, query: str) -> Generator[Event, None, tuple[ColumnInfo, ...]]:
    """Return the query's columns, none when the source cannot be reached: a warning then says why.

    Raises what a run would raise of the query itself, such as TableMissing; nothing is written, no file is made.
    """
    try:
        connector = registry.connector(plan.source.kind, Cap.READ)
    except NotSupported:
        # of such a system nothing is read yet
        return ()
    try:
        options = {name: value for name, value in plan.source.options.items() if name != "create"}
        opened = connector.connect(hurried(replace(plan.source, options=options)))
    except PipekitError as error:
        yield Warned(_unchecked(error))
        return ()
    try:
        return connector.introspector.describe_query(opened, query)
    except TransientError as error:
        yield Warned(_unchecked(error))
        return ()
    except KeyboardInterrupt:
        opened.cancel()
        raise
    finally:
        opened.close()


def _unchecked(error: PipekitError) -> str:
    return f"The source could not be asked, so its tables and columns were not checked: {error.message}"

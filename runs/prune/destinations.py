"""Removes leftovers in destinations: staging tables of deleted modules, and old commit records.

A staging table is dropped only if its claim names a finished run of this installation and no module has its name.
Commit records are deleted only if a module of this installation has or had their module's name. The tables of another
installation in the same database are never touched, nor are its commit records, unless both have a module of that name.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import cast

from connections import registry
from connections.models import Connection
from connections.sdk.capabilities import Cap
from connections.sdk.errors import NotSupported, PipekitError
from connections.sdk.files.session import FileMissing
from connections.sdk.protocols import Session
from connections.sdk.schema import TableName
from connections.sdk.sql.publishing import PublishingDialect
from modules.models import Module, ModuleHistory
from runs.engine import control_tables
from runs.engine.sessions import open_session
from runs.models import Run
from runs.prune.result import Pruned
from runs.prune.rows import limit

_LOCK_TIMEOUT = 5.0
_BATCH_SIZE = 200


def prune_destinations(now: dt.datetime, dry_run: bool) -> Iterator[Pruned]:
    """Prune every destination; one that cannot be reached is reported and tried again the next time."""
    before = limit(now).astimezone(dt.UTC).isoformat(timespec="seconds")
    # read from all runs, so once, and only if there is a destination with commit records
    module_names = cache(_module_names)
    for connection in written_connections():
        try:
            yield from _prune(connection, before, dry_run, module_names)
        except NotSupported:
            # it cannot be written, so nothing was ever left there
            continue
        except PipekitError as error:
            if isinstance(error, FileMissing) and connection.options.get("create"):
                # a file that no run has created yet
                continue
            yield Pruned(what=f"staging tables in {connection.name}", count=0, error=error.message)


def written_connections() -> list[Connection]:
    """Return the connections that modules write to, or have written to."""
    former = ModuleHistory.objects.values_list("snapshot__dest_connection", flat=True).distinct()
    names = {*Module.objects.values_list("dest_connection__name", flat=True), *former}
    return list(Connection.objects.with_driver().filter(name__in=[name for name in names if name]).order_by("name"))


def _prune(
    connection: Connection, before: str, dry_run: bool, module_names: Callable[[], set[str]]
) -> Iterator[Pruned]:
    kind = connection.driver.kind
    parameters = connection.parameters()
    connector, dialect = registry.connector(kind, Cap.WRITE), cast(PublishingDialect, registry.dialect_for(parameters))
    # a database file that does not exist is not created
    parameters = parameters.with_options(create=False)
    with open_session(parameters, Cap.WRITE) as opened:
        tables = (control_tables.claims_table(dialect), control_tables.commits_table(dialect))
        if not all(connector.introspector.describe_table(opened, table) for table in tables):
            return
        leftovers = _leftovers(opened, dialect)
        # the table of exchanges is missing where none were made
        exchanges = control_tables.exchanges_table(dialect)
        recorded = exchanges if connector.introspector.describe_table(opened, exchanges) else None
        dropped = (
            leftovers if dry_run else [claim for claim in leftovers if _drop(opened, kind, dialect, recorded, *claim)]
        )
        yield Pruned(what=f"staging tables in {connection.name}", count=len(dropped))
        old = _old_commits(opened, dialect, before, module_names)
        if not dry_run:
            _delete_commits(opened, dialect, old, before)
        yield Pruned(what=f"commit records in {connection.name}", count=len(old))


def _leftovers(opened: Session, dialect: PublishingDialect) -> list[tuple[str, str]]:
    """Return module and run of each claim of a deleted module by a finished run of this installation."""
    claims = opened.fetch(f"SELECT module, run FROM {dialect.qualified(control_tables.claims_table(dialect))}")
    modules = set(Module.objects.values_list("name", flat=True))
    deleted = sorted((module, run) for module, run in claims if module not in modules)
    return [(module, run) for module, run in deleted if Run.objects.final().filter(token=run).exists()]


def _drop(
    opened: Session, kind: str, dialect: PublishingDialect, exchanges: TableName | None, module: str, run: str
) -> bool:
    """Drop a module's staging tables, claim and record in ``exchanges``, unless another run has claimed it since."""
    claims, mark = dialect.qualified(control_tables.claims_table(dialect)), dialect.placeholder
    staging, exchange = dialect.staging_table(module), registry.table_exchange(kind)
    with opened.transaction():
        for sql in dialect.begin_publish(staging, lock_seconds=_LOCK_TIMEOUT):
            opened.execute(sql)
        claimed_by = opened.fetch(f"SELECT run FROM {claims} WHERE module = {mark}{dialect.lock_rows()}", (module,))
        if claimed_by != [(run,)] or Module.objects.filter(name=module).exists():
            return False
        beside = exchange.left_beside(opened, staging) if exchange else ()
        for table in (staging, dialect.keys_table(module), *beside):
            opened.execute(dialect.drop_table(table))
        opened.execute(f"DELETE FROM {claims} WHERE module = {mark}", (module,))
        if exchanges:
            opened.execute(f"DELETE FROM {dialect.qualified(exchanges)} WHERE module = {mark}", (module,))
    return True


def _old_commits(
    opened: Session, dialect: PublishingDialect, before: str, module_names: Callable[[], set[str]]
) -> list[str]:
    """Return the runs of old commit records that modules of this installation wrote, without active runs."""
    commits = dialect.qualified(control_tables.commits_table(dialect))
    old = opened.fetch(
        f"SELECT DISTINCT run, module FROM {commits} WHERE published_at < {dialect.placeholder}", (before,)
    )
    # the commit records of active runs are still needed
    active = set(Run.objects.active().values_list("token", flat=True))
    own = module_names()
    return sorted(run for run, module in old if module in own and run not in active)


def _module_names() -> set[str]:
    """Return the names that modules of this installation have or had."""
    names = set(Module.objects.values_list("name", flat=True))
    for model in (ModuleHistory, Run):
        names.update(model.objects.order_by().values_list("module_name", flat=True).distinct())
    return names


def _delete_commits(opened: Session, dialect: PublishingDialect, runs: Sequence[str], before: str) -> None:
    commits, mark = dialect.qualified(control_tables.commits_table(dialect)), dialect.placeholder
    for start in range(0, len(runs), _BATCH_SIZE):
        batch = runs[start : start + _BATCH_SIZE]
        marks = ", ".join([mark] * len(batch))
        opened.execute(f"DELETE FROM {commits} WHERE run IN ({marks}) AND published_at < {mark}", (*batch, before))

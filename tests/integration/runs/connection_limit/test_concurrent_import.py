"""Runs that lock their connections while a configuration file with the same connections is imported."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection

from connections.configfile import CONNECTIONS
from connections.models import Connection
from pipekit_site.configfile.apply_sections import ImportOptions
from pipekit_site.configfile.import_file import import_sections
from runs.lifecycle import connection_limit
from runs.lifecycle.connection_limit import wait_for_turn
from runs.models import Run
from runs.process import identity
from tests.factories import ConnectionFactory, ModuleFactory, RunFactory
from tests.processes.commands import wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    # SQLite locks the whole database
    pytest.mark.postgresql_metadata,
]


@pytest.fixture
def run() -> Run:
    """A run of two connections that has waited for one of them, and may begin now."""
    first, second = (ConnectionFactory.create(name=name) for name in ("first", "second"))
    run: Run = RunFactory.create(module=ModuleFactory.create(source_connection=first, dest_connection=second))
    run.start(**identity.current().as_fields())
    run.note(waits_for=[first.pk])
    run.refresh_from_db()
    return run


def is_waiting_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def test_an_import_that_names_the_connections_in_another_order_does_not_deadlock_with_a_run(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a run would try again
    monkeypatch.setattr(connection_limit, "retry_metadata", lambda act: act())
    failures, calls = list[BaseException](), list[str]()

    def begin() -> None:
        try:
            wait_for_turn(run, lambda reason: None)
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=begin)

    def let_the_run_lock(row: Connection, parts: Mapping[str, Sequence[Any]]) -> None:
        CONNECTIONS.prepare(row, parts)
        calls.append(row.name)
        if len(calls) == 2:
            # the import has locked one of the two rows
            thread.start()
            wait_until(is_waiting_for_a_lock, seconds=30)

    sections = (replace(CONNECTIONS, prepare=let_the_run_lock),)
    rows = "".join(
        f"  {name}: {{driver: {row.driver.kind}, jdbc_url: '{row.jdbc_url}', max_parallel: 7}}\n"
        for name in ("second", "first")
        for row in [Connection.objects.select_related("driver").get(name=name)]
    )
    file = f"version: 1\nconnections:\n{rows}".encode()
    import_sections(file, sections, ImportOptions(name="x", actor="me"))
    thread.join(timeout=60)
    assert (failures, thread.is_alive()) == ([], False)
    assert set(Connection.objects.values_list("max_parallel", flat=True)) == {7}
    assert Run.objects.get().waits_for is None

"""An import validates without a write lock on the metadata, and starts again if rows were changed meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from connections.models import Connection
from connections.sdk.errors import ConfigurationInvalid
from modules.configfile import MODULES
from modules.models import Module, ModuleHistory
from pipekit_site.configfile.apply_sections import ImportOptions
from pipekit_site.configfile.import_file import import_sections
from pipekit_site.import_export import SECTIONS
from tests.factories import RunFactory
from tests.harness.importconfig import EXAMPLE, counts, load

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite_metadata]


@contextmanager
def other_session() -> Iterator[sqlite3.Connection]:
    """A session that writes to the metadata and does not wait for locks."""
    with closing(sqlite3.connect(settings.PIPEKIT.database, timeout=0, isolation_level=None)) as session:
        yield session


def sections_that_call(callback: Any) -> tuple[Any, ...]:
    """Return the sections with a callback that is called while a module is validated."""

    def prepare(module: Module, parts: Mapping[str, Sequence[Any]]) -> None:
        MODULES.prepare(module, parts)
        callback()

    return tuple(replace(MODULES, prepare=prepare) if section is MODULES else section for section in SECTIONS)


def test_a_dry_run_needs_no_lock_and_writes_nothing() -> None:
    load(EXAMPLE)
    with other_session() as other:
        other.execute("BEGIN IMMEDIATE")
        diff = load(EXAMPLE.replace("merge_key: dcord", "merge_key: dcord, dcotyp"), dry_run=True).diff
        other.execute("ROLLBACK")
    assert "+    merge_key: dcord, dcotyp" in diff
    assert Module.objects.get().merge_key == "dcord"
    assert ModuleHistory.objects.count() == 1


def test_other_processes_can_write_while_a_file_is_validated() -> None:
    rowcounts = list[int]()

    def write() -> None:
        if not rowcounts:
            with other_session() as other:
                columns = "session_key, session_data, expire_date"
                other.execute(f"INSERT INTO django_session ({columns}) VALUES ('x', '', '2027-01-01')")
                rowcounts.append(other.execute("DELETE FROM django_session").rowcount)

    import_sections(EXAMPLE.encode(), sections_that_call(write), ImportOptions(name="x", actor="me"))
    assert rowcounts == [1]
    assert counts() == {"connections": 2, "modules": 1, "groups": 1, "schedules": 1}


def test_an_import_is_validated_again_if_rows_change_during_the_validation() -> None:
    load(EXAMPLE)
    usernames = []

    def rename_once() -> None:
        usernames.append(list(Connection.objects.values_list("username", flat=True)))
        if len(usernames) == 1:
            with other_session() as other:
                other.execute("UPDATE connection SET username = 'other'")

    text = EXAMPLE.replace("merge_key: dcord", "merge_key: dcord, dcotyp")
    import_sections(text.encode(), sections_that_call(rename_once), ImportOptions(name="x", actor="me"))
    # validated, validated again with the changed rows, written
    assert len(usernames) == 3
    assert Module.objects.get().merge_key == "dcord, dcotyp"
    assert [row.version for row in ModuleHistory.objects.order_by("version")] == [1, 2]


def test_an_import_is_refused_if_rows_are_changed_again_and_again() -> None:
    load(EXAMPLE)
    names = iter(range(100))

    def rename() -> None:
        with other_session() as other:
            other.execute("UPDATE grp SET max_parallel = ?", (next(names) + 10,))

    text = EXAMPLE.replace("merge_key: dcord", "merge_key: dcord, dcotyp")
    with pytest.raises(ConfigurationInvalid, match="changed by another process"):
        import_sections(text.encode(), sections_that_call(rename), ImportOptions(name="x", actor="me"))
    assert Module.objects.get().merge_key == "dcord"


def test_a_module_with_an_active_run_is_not_pruned_with_or_without_dry_run() -> None:
    load(EXAMPLE)
    RunFactory.create(module=Module.objects.get(), status="running")
    text = "version: 1\nmodules: {}\ngroups: {}\nschedules: {}\n"
    for dry_run in (True, False):
        with pytest.raises(ConfigurationInvalid, match="cannot remove it yet"):
            load(text, prune=True, dry_run=dry_run)
    assert Module.objects.count() == 1


def test_many_new_modules_take_one_insert_each_and_few_for_their_history() -> None:
    connections = EXAMPLE[: EXAMPLE.index("modules:")]
    fields = "source_connection: erp, dest_connection: warehouse, source_query: SELECT A AS a FROM T"
    modules = "\n".join(f"  m{number}: {{{fields}, dest_table: sync.m{number}}}" for number in range(40))
    with CaptureQueriesContext(connection) as queries:
        load(f"{connections}modules:\n{modules}\n")
    assert sum(query["sql"].startswith("INSERT INTO") for query in queries.captured_queries) < 50
    first = ModuleHistory.objects.filter(version=1)
    assert first.count() == 40
    assert first.get(module__name="m7").snapshot["dest_table"] == "sync.m7"

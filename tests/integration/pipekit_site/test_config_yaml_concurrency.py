"""An import thinks without the metadata's write lock, and writes only what was judged on the rows that are there."""

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
from modules.config_yaml import MODULES
from modules.models import Module, ModuleHistory
from pipekit_site.config_yaml import SECTIONS
from pipekit_site.configfile import load as importing
from pipekit_site.configfile.load import ImportOptions
from tests.benches.config_yaml import EXAMPLE, counts, load
from tests.factories import RunFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite_metadata]


@contextmanager
def another_process() -> Iterator[sqlite3.Connection]:
    """A session that writes the metadata, and waits for nobody."""
    with closing(sqlite3.connect(settings.PIPEKIT.database, timeout=0, isolation_level=None)) as session:
        yield session


def sections_that_call(during: Any) -> tuple[Any, ...]:
    """Return the sections, with something that happens while a module is thought about."""

    def prepare(module: Module, parts: Mapping[str, Sequence[Any]]) -> None:
        MODULES.prepare(module, parts)
        during()

    return tuple(replace(MODULES, prepare=prepare) if section is MODULES else section for section in SECTIONS)


def test_a_dry_run_needs_no_lock_and_leaves_nothing() -> None:
    load(EXAMPLE)
    with another_process() as other:
        other.execute("BEGIN IMMEDIATE")
        diff = load(EXAMPLE.replace("merge_key: dcord", "merge_key: dcord, dcotyp"), dry_run=True).diff
        other.execute("ROLLBACK")
    assert "+    merge_key: dcord, dcotyp" in diff
    assert Module.objects.get().merge_key == "dcord"
    assert ModuleHistory.objects.count() == 1


def test_others_may_write_while_a_file_is_thought_about() -> None:
    written = list[int]()

    def write() -> None:
        if not written:
            with another_process() as other:
                columns = "session_key, session_data, expire_date"
                other.execute(f"INSERT INTO django_session ({columns}) VALUES ('x', '', '2027-01-01')")
                written.append(other.execute("DELETE FROM django_session").rowcount)

    importing.load(EXAMPLE.encode(), sections_that_call(write), ImportOptions(name="x", actor="me"))
    assert written == [1]
    assert counts() == {"connections": 2, "modules": 1, "groups": 1, "schedules": 1}


def test_what_was_changed_meanwhile_is_thought_about_again() -> None:
    load(EXAMPLE)
    seen = []

    def rename_once() -> None:
        seen.append(list(Connection.objects.values_list("username", flat=True)))
        if len(seen) == 1:
            with another_process() as other:
                other.execute("UPDATE connection SET username = 'meanwhile'")

    text = EXAMPLE.replace("merge_key: dcord", "merge_key: dcord, dcotyp")
    importing.load(text.encode(), sections_that_call(rename_once), ImportOptions(name="x", actor="me"))
    # thought, thought again on what is there now, written
    assert len(seen) == 3
    assert Module.objects.get().merge_key == "dcord, dcotyp"
    assert [row.version for row in ModuleHistory.objects.order_by("version")] == [1, 2]


def test_a_configuration_that_never_rests_is_refused_and_nothing_is_imported() -> None:
    load(EXAMPLE)
    names = iter(range(100))

    def rename() -> None:
        with another_process() as other:
            other.execute("UPDATE grp SET max_parallel = ?", (next(names) + 10,))

    text = EXAMPLE.replace("merge_key: dcord", "merge_key: dcord, dcotyp")
    with pytest.raises(ConfigurationInvalid, match="changed by another process"):
        importing.load(text.encode(), sections_that_call(rename), ImportOptions(name="x", actor="me"))
    assert Module.objects.get().merge_key == "dcord"


def test_a_module_whose_run_is_going_on_is_not_pruned_in_a_dry_run_either() -> None:
    load(EXAMPLE)
    RunFactory.create(module=Module.objects.get(), status="running")
    text = "version: 1\nmodules: {}\ngroups: {}\nschedules: {}\n"
    for dry_run in (True, False):
        with pytest.raises(ConfigurationInvalid, match="cannot remove it yet"):
            load(text, prune=True, dry_run=dry_run)
    assert Module.objects.count() == 1


def test_many_new_modules_are_written_by_one_statement_each_and_their_history_by_few() -> None:
    connections = EXAMPLE[: EXAMPLE.index("modules:")]
    ends = "source_connection: erp, dest_connection: warehouse, source_query: SELECT A AS a FROM T"
    modules = "\n".join(f"  m{number}: {{{ends}, dest_table: sync.m{number}}}" for number in range(40))
    with CaptureQueriesContext(connection) as queries:
        load(f"{connections}modules:\n{modules}\n")
    assert sum(query["sql"].startswith("INSERT INTO") for query in queries.captured_queries) < 50
    first = ModuleHistory.objects.filter(version=1)
    assert first.count() == 40
    assert first.get(module__name="m7").snapshot["dest_table"] == "sync.m7"

"""Removal of staging tables and commit records in destinations, and the output of `prune`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from connections import registry
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableName
from connections.sdk.sql.publishing import PublishingDialect
from modules.history import recorded
from modules.models import Module
from runs.engine.control_tables import claims_table, commits_table, definitions
from runs.engine.sessions import open_session
from runs.models import Run
from runs.models.states import Status
from runs.prune.destinations import prune_destinations
from tests.factories import ModuleFactory, RunFactory, WarehouseFactory
from tests.integration.runs.prune.pruning import DAY, NOW, pruned, run_of
from tests.processes.commands import manage


def executed(module: Module) -> Module:
    """Run the module, and leave an entry in its history."""
    with recorded(module, actor="test"):
        module.save()
        Module.objects.filter(pk=module.pk).update(notes="changed")
    done = manage("runmodule", module.name, "--quiet")
    assert done.code == 0, done.err
    return module


def has_staging_table(destination: ConnectionParameters, name: str) -> bool:
    return has_table(destination, dialect_of(destination).staging_table(name))


def has_table(destination: ConnectionParameters, table: TableName) -> bool:
    with open_session(destination) as session:
        return registry.connector(destination.kind).introspector.describe_table(session, table) is not None


def dialect_of(destination: ConnectionParameters) -> PublishingDialect:
    return cast(PublishingDialect, registry.dialect(destination.kind))


@pytest.fixture
def destination(request: pytest.FixtureRequest, tmp_path: Path) -> ConnectionParameters:
    if request.param == "postgresql":
        warehouse: ConnectionParameters = request.getfixturevalue("warehouse")
        return warehouse
    url = f"jdbc:{request.param}:{tmp_path / 'dw.db'}"
    return ConnectionParameters(kind=request.param, url=url, options={"create": True}, name="dw")


@pytest.fixture
def save(
    erp: ConnectionParameters,
    destination: ConnectionParameters,
    save_module: Callable[..., Module],
    save_connection: Callable[..., Any],
) -> Callable[[str], Module]:
    """Return a function that saves a module of this name with the destination."""
    with open_session(erp) as session:
        session.execute("CREATE TABLE t (id INTEGER, v TEXT)")
        session.execute("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    options = {"merge_strategy": "incremental", "merge_key": "id", "key_sync": True}
    connection = save_connection(destination)
    return lambda name: save_module(name, "SELECT id, v FROM t", destination=connection, **options)


@pytest.mark.matrix
@pytest.mark.parametrize("destination", ["postgresql", "sqlite", "duckdb"], indirect=True)
def test_staging_tables_of_deleted_modules_are_removed_and_all_others_kept(
    destination: ConnectionParameters, save: Callable[[str], Module]
) -> None:
    # the second run is not a first load, which leaves no staging table
    deleted, kept = (executed(executed(save(name))) for name in ("deleted", "kept"))
    exchange = registry.table_exchange(destination.kind)
    assert exchange is not None
    # as left by a run that failed
    beside = exchange.beside(TableName("", "t"), dialect_of(destination).staging_table("deleted"))
    with open_session(destination) as session:
        claims = dialect_of(destination).qualified(claims_table(dialect_of(destination)))
        # of another installation that shares this destination
        session.execute(f"INSERT INTO {claims} (module, run) VALUES ('foreign', 'some-other-run')")
        session.execute(f"CREATE TABLE IF NOT EXISTS {dialect_of(destination).qualified(beside)} (a integer)")
        for name in ("foreign", "notes"):
            table = dialect_of(destination).staging_table(name)
            session.execute(dialect_of(destination).create_table(table, [("a", "integer")]))
    assert pruned() == {}
    deleted.delete()
    assert pruned(dry_run=True) == {f"staging tables in {destination.name}": 1}
    assert has_staging_table(destination, "deleted")
    assert has_staging_table(destination, "deleted#keys")
    assert pruned() == {f"staging tables in {destination.name}": 1}
    names = ("deleted", "deleted#keys", "kept", "kept#keys", "foreign", "notes")
    existing = [name for name in names if has_staging_table(destination, name)]
    assert existing == ["kept", "kept#keys", "foreign", "notes"]
    assert not has_table(destination, beside)
    assert pruned() == {}
    executed(kept)


@pytest.mark.matrix
@pytest.mark.parametrize("destination", ["sqlite"], indirect=True)
def test_a_destination_that_only_deleted_modules_used_is_pruned_too(
    destination: ConnectionParameters, save: Callable[[str], Module]
) -> None:
    executed(save("deleted")).delete()
    assert pruned() == {f"staging tables in {destination.name}": 1}


@pytest.mark.matrix
@pytest.mark.parametrize("destination", ["postgresql", "duckdb"], indirect=True)
def test_old_commit_records_are_removed_except_that_of_an_active_run(
    destination: ConnectionParameters, save: Callable[[str], Module]
) -> None:
    module = executed(save("orders"))
    commits = dialect_of(destination).qualified(commits_table(dialect_of(destination)))
    active = run_of(module, 0, Status.RUNNING)
    values = ", ".join(
        f"('{run}', 'publish', 'orders', '{(NOW - days * DAY).isoformat(timespec='seconds')}')"
        for run, days in (("old-1", 500), ("old-2", 401), ("young", 399), (active.token, 900))
    )
    with open_session(destination) as session:
        session.execute(f"INSERT INTO {commits} (run, kind, module, published_at) VALUES {values}")
        # of another installation that shares this destination
        session.execute(
            f"INSERT INTO {commits} (run, kind, module, published_at)"
            f" VALUES ('foreign', 'publish', 'unknown', '{(NOW - 900 * DAY).isoformat(timespec='seconds')}')"
        )
    assert pruned(dry_run=True) == {f"commit records in {destination.name}": 2}
    assert pruned() == {f"commit records in {destination.name}": 2}
    with open_session(destination) as session:
        kept = {run for (run,) in session.fetch(f"SELECT run FROM {commits}")}
    assert kept == {"young", "foreign", active.token, Run.objects.earliest("pk").token}


@pytest.mark.django_db
def test_the_names_of_all_runs_are_read_once_for_all_destinations(
    tmp_path: Path, save_connection: Callable[..., Any]
) -> None:
    for name in ("one", "two"):
        parameters = ConnectionParameters(
            kind="sqlite", url=f"jdbc:sqlite:{tmp_path / name}", options={"create": True}, name=name
        )
        ModuleFactory.create(dest_connection=save_connection(parameters))
        with open_session(parameters) as session:
            for _, sql in definitions(dialect_of(parameters), exchanges=False):
                session.execute(sql)
    with CaptureQueriesContext(connection) as queries:
        assert pruned() == {}
    names = [query for query in queries if 'SELECT DISTINCT "run_log"."module_name"' in query["sql"]]
    assert len(names) == 1


@pytest.mark.django_db
def test_a_file_that_no_run_has_created_yet_has_nothing_to_remove(
    tmp_path: Path, save_connection: Callable[..., Any]
) -> None:
    for kind in ("sqlite", "duckdb"):
        parameters = ConnectionParameters(
            kind=kind, url=f"jdbc:{kind}:{tmp_path}/new.{kind}", options={"create": True}, name=kind
        )
        ModuleFactory.create(dest_connection=save_connection(parameters))
    assert list(prune_destinations(NOW, dry_run=True)) == [] and list(tmp_path.iterdir()) == []


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_file_that_is_wrong_is_reported_although_runs_may_create_it(
    tmp_path: Path, save_connection: Callable[..., Any], kind: str
) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "text").write_text("This is a text and not a database. " * 500)
    for path in ("directory", "text", "unmounted/file"):
        parameters = ConnectionParameters(
            kind=kind, url=f"jdbc:{kind}:{tmp_path / path}", options={"create": True}, name=path.partition("/")[0]
        )
        ModuleFactory.create(dest_connection=save_connection(parameters))
    results = list(prune_destinations(NOW, dry_run=True))
    assert [result.what for result in results if result.error] == [
        "staging tables in directory",
        "staging tables in text",
        "staging tables in unmounted",
    ]


@pytest.mark.django_db
def test_a_destination_that_cannot_be_reached_is_reported_and_the_rest_is_removed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    old = timezone.now() - 500 * DAY
    warehouse = WarehouseFactory.create(name="dw", jdbc_url="jdbc:postgresql://127.0.0.1:1/dw", password="")
    module = ModuleFactory.create(dest_connection=warehouse)
    for _ in range(2):
        RunFactory.create(module=module, status=Status.SUCCESS, finished_at=old)
    with pytest.raises(SystemExit) as exited:
        call_command("prune", "--json")
    assert exited.value.code == 5
    results = {row["what"]: row for row in json.loads(capsys.readouterr().out)}
    assert results["runs"]["count"] == 1
    assert "127.0.0.1" in results["staging tables in dw"]["error"]


@pytest.mark.django_db
def test_the_command_prints_what_would_be_removed_and_what_was(capsys: pytest.CaptureFixture[str]) -> None:
    module = ModuleFactory.create()
    for _ in range(2):
        RunFactory.create(module=module, status=Status.SUCCESS, finished_at=timezone.now() - 500 * DAY)
    module.delete()
    call_command("prune", "--dry-run")
    assert "2 runs would be removed\n" in capsys.readouterr().out
    call_command("prune")
    assert "2 runs removed\n" in capsys.readouterr().out
    assert not Run.objects.exists()

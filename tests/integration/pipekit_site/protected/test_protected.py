"""Connections to Pipekit's own files and metadata are refused when they are saved and when they are opened."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

from connections import registry
from connections.models import Connection, Driver
from connections.probe import probe_connection
from connections.sdk.errors import Protected, from_dict
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import WriteTarget
from connections.sdk.schema import TableName
from modules.models import Module, Watermark
from pipekit_site import protected_paths
from pipekit_site.config.config import BASE_DIR
from pipekit_site.metadata import backup
from runs.lifecycle.execute import execute_run
from runs.lifecycle.insert import RunRequest, insert_run
from tests.harness.small_databases import System, job, sqlite
from tests.processes.jrunner import run, run_job

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite_metadata]
METADATA = Path(settings.PIPEKIT.database)


def parameters(path: Path, kind: str = "sqlite") -> ConnectionParameters:
    return ConnectionParameters(kind=kind, url=f"jdbc:{kind}:{path}", name="sly", options={"create": True})


def create_unvalidated(path: Path, name: str = "sly") -> Connection:
    """Create a connection without validation, as an older version or SQL could have."""
    return Connection.objects.create(
        name=name, driver=Driver.objects.get(kind="sqlite"), jdbc_url=f"jdbc:sqlite:{path}", options={"create": True}
    )


def unchanged(tmp_path: Path) -> Path:
    return METADATA


def linked(tmp_path: Path) -> Path:
    (tmp_path / "link.db").symlink_to(METADATA)
    return tmp_path / "link.db"


def in_a_linked_directory(tmp_path: Path) -> Path:
    (tmp_path / "var").symlink_to(METADATA.parent)
    return tmp_path / "var" / METADATA.name


def hard_linked(tmp_path: Path) -> Path:
    # in the data directory, because a hard link does not cross filesystems
    other = METADATA.parent / "demo" / "other.db"
    other.parent.mkdir(exist_ok=True)
    other.unlink(missing_ok=True)
    os.link(METADATA, other)
    return other


def copied(tmp_path: Path) -> Path:
    return backup.back_up(tmp_path / "copy.db")


PATHS: list[Callable[[Path], Path]] = [unchanged, linked, in_a_linked_directory, hard_linked]


@pytest.fixture(autouse=True)
def remove_links() -> None:
    shutil.rmtree(METADATA.parent / "demo", ignore_errors=True)


def test_a_run_from_the_metadata_into_itself_cannot_create_a_superuser(tmp_path: Path) -> None:
    user = get_user_model().objects.create_user("editor", password="x")
    metadata = create_unvalidated(METADATA)
    columns = "id, password, is_superuser, username, last_name, email, is_staff, is_active, date_joined, first_name"
    module = Module.objects.create(
        name="climb",
        source_connection=metadata,
        dest_connection=metadata,
        dest_table="auth_user",
        merge_strategy="upsert",
        merge_key="id",
        source_query=f"SELECT {columns} FROM auth_user".replace(
            "is_superuser", "CASE username WHEN 'editor' THEN 1 ELSE is_superuser END AS is_superuser"
        ),
    )
    row = execute_run(insert_run(module, RunRequest()))
    user.refresh_from_db()
    assert not user.is_superuser
    assert row.error is not None and row.error["code"] == "protected"


@pytest.mark.parametrize("path_in", PATHS)
def test_the_metadata_is_refused_by_any_path(path_in: Callable[[Path], Path], tmp_path: Path) -> None:
    path = path_in(tmp_path)
    row = Connection(name="sly", driver=Driver.objects.get(kind="sqlite"), jdbc_url=f"jdbc:sqlite:{path}")
    with pytest.raises(ValidationError, match="belongs to Pipekit"):
        row.full_clean()
    assert_refused(parameters(path.absolute()))


def assert_refused(sly: ConnectionParameters) -> None:
    """Assert that the file can neither be opened, nor read from, nor written to, nor tested."""
    connector = registry.connector(sly.kind)
    assert connector.reader and connector.writer
    with pytest.raises(Protected):
        connector.connect(sly).close()
    batches = connector.reader.read(sly, "SELECT 1 AS n", (), batch_bytes=1000)
    with pytest.raises(Protected):
        list(batches)
    with pytest.raises(Protected):
        connector.writer.write(WriteTarget(parameters=sly, table=TableName("", "auth_user"), columns=()), batches)
    assert probe_connection(lambda: sly, name="sly", kind=sly.kind).error["code"] == "protected"  # type: ignore[index]


@pytest.mark.parametrize("name", ["-wal", "-shm", "-journal"])
def test_the_journal_files_of_the_metadata_are_refused(name: str) -> None:
    with pytest.raises(Protected):
        registry.connector("sqlite").connect(parameters(Path(f"{METADATA}{name}")))


def test_a_backup_in_any_directory_is_refused(tmp_path: Path) -> None:
    assert_refused(parameters(copied(tmp_path)))


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
@pytest.mark.parametrize(
    "name",
    [
        "secrets.env",
        "secret_key",
        "config.yaml",
        "protected.json",
        "logs/runs/1.log",
        "spool/x.json",
        "backups/new.db",
        "locks/tick.lock",
        "drivers/evil.jar",
        "postgresql/base/1",
    ],
)
def test_pipekits_own_files_are_neither_opened_nor_created(name: str, kind: str) -> None:
    path = Path(settings.PIPEKIT.data_dir) / name
    existed = path.exists()
    with pytest.raises(Protected):
        registry.connector(kind).connect(parameters(path, kind))
    assert path.exists() == existed


def test_no_file_is_created_in_the_program_directory() -> None:
    with pytest.raises(Protected):
        registry.connector("sqlite").connect(parameters(BASE_DIR / "runs" / "sitecustomize.py"))


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
@pytest.mark.parametrize("name", ["json.py", "sitecustomize.py", "django.so", "x.pth", "yaml.pyc"])
def test_no_file_is_created_that_python_would_import(name: str, kind: str) -> None:
    for directory in (BASE_DIR, Path(settings.PIPEKIT.data_dir)):
        with pytest.raises(Protected):
            registry.connector(kind).connect(parameters(directory / name, kind))
        assert not (directory / name).exists()


def test_the_jrunner_program_is_neither_opened_nor_created(tmp_path: Path) -> None:
    program = tmp_path / "jrunner"
    protected = protected_paths.of(replace(settings.PIPEKIT, jrunner_path=str(program)))
    with pytest.raises(Protected):
        registry.connector("sqlite").connect(replace(parameters(program), protection=protected))
    assert not program.exists()


def test_other_files_in_the_data_directory_can_be_used() -> None:
    path = Path(settings.PIPEKIT.data_dir) / "demo" / "erp.db"
    path.parent.mkdir(exist_ok=True)
    registry.connector("sqlite").connect(parameters(path)).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_files_outside_of_file_roots_are_refused(tmp_path: Path) -> None:
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed" / "out").symlink_to(tmp_path)
    limited = replace(parameters(tmp_path).protection, file_roots=(str(tmp_path / "allowed"),))
    for name, allowed in (("allowed/a.db", True), ("b.db", False), ("allowed/out/c.db", False)):
        target = replace(parameters(tmp_path / name), protection=limited)
        if allowed:
            registry.connector("sqlite").connect(target).close()
        else:
            with pytest.raises(Protected, match="file_roots|outside"):
                registry.connector("sqlite").connect(target)
        assert (tmp_path / name).exists() == allowed


def test_jrunner_refuses_the_metadata_in_jobs_and_in_arguments(tmp_path: Path) -> None:
    out = sqlite(tmp_path / "out.db")
    out.execute("CREATE TABLE t (n integer)")
    result = run_job(
        replace(job(out, "SELECT n FROM t", out), source=replace(parameters(linked(tmp_path)), options={}))
    )
    assert (result.code, result.last["error"]["code"]) == (1, "protected")
    (tmp_path / "q.sql").write_text("SELECT id AS n FROM auth_user")
    messages = {METADATA: "belongs to Pipekit itself", copied(tmp_path): "Pipekit's own metadata"}
    for path, message in {**messages, tmp_path / "link.db": "belongs to Pipekit itself"}.items():
        result = run("-scu", f"jdbc:sqlite:{path}", "-sq", str(tmp_path / "q.sql"), "-f", "csv")
        assert result.code == 1 and message in result.log, result.log
        assert not result.output
    secrets = METADATA.with_name("secrets.env")
    result = run(
        "-scu",
        f"jdbc:sqlite:{tmp_path / 'out.db'}",
        "-sq",
        str(tmp_path / "q.sql"),
        "-dcu",
        f"sqlite:{secrets}",
        "-dt",
        "t",
    )
    assert result.code == 1 and not secrets.exists()


def test_a_job_without_protection_is_refused(tmp_path: Path) -> None:
    erp = sqlite(tmp_path / "erp.db").parameters.as_json()
    del erp["protection"]
    with pytest.raises(KeyError):
        ConnectionParameters.from_json(erp)


@pytest.mark.parametrize("where", ["hook", "resolver"])
def test_hooks_and_resolvers_on_the_metadata_are_refused(
    where: str, save_module: Callable[..., Module], save_connection: Callable[..., Connection], tmp_path: Path
) -> None:
    erp = parameters(tmp_path / "erp.db")
    System("sqlite", str(tmp_path / "erp.db")).execute("CREATE TABLE s (a integer)", "INSERT INTO s VALUES (1)")
    source = save_connection(replace(erp, name="erp"))
    module = save_module("m", "SELECT a AS a FROM s", source=source, destination=source, dest_table="t")
    metadata = create_unvalidated(METADATA)
    if where == "hook":
        module.hooks.create(run_on="before", connection=metadata, sql="UPDATE auth_user SET is_superuser = 1")
    else:
        module.source_query = "SELECT a AS a FROM s WHERE a > {w}"
        module.save()
        Watermark.objects.create(
            module=module, name="w", connection=metadata, resolver_sql="SELECT password FROM auth_user"
        )
    row = execute_run(insert_run(module, RunRequest()))
    assert row.error is not None and row.error["code"] == "protected"
    assert isinstance(from_dict(row.error), Protected)


def test_a_database_with_only_some_of_the_table_names_is_allowed(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "crm.db") as crm:
        crm.executescript("CREATE TABLE auth_user (id); CREATE TABLE django_migrations (id); CREATE TABLE module (id)")
    crm.close()
    registry.connector("sqlite").connect(parameters(tmp_path / "crm.db")).close()

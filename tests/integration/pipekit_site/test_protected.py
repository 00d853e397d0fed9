"""Connections that lead to Pipekit's own files and metadata are refused: when saved, and by whoever opens them."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

from connections import probe, registry
from connections.models import Connection, Driver
from connections.sdk.errors import PipekitError, Protected, from_dict
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Target
from connections.sdk.schema import TableName
from modules.models import Module, Watermark
from pipekit_site import protected_paths
from pipekit_site.config.config import BASE_DIR
from pipekit_site.metadata import backup
from runs.lifecycle import claim
from runs.lifecycle.execute import execute
from tests.benches.small_databases import System, job, sqlite
from tests.processes.jrunner import run, run_job

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite_metadata]
METADATA = Path(settings.PIPEKIT.database)


def parameters(path: Path, kind: str = "sqlite") -> ConnectionParameters:
    return ConnectionParameters(kind=kind, url=f"jdbc:{kind}:{path}", name="sly", options={"create": True})


def saved_behind_the_back(path: Path, name: str = "sly") -> Connection:
    """A row that no validation saw: as an older version, or SQL, may have left it."""
    return Connection.objects.create(
        name=name, driver=Driver.objects.get(kind="sqlite"), jdbc_url=f"jdbc:sqlite:{path}", options={"create": True}
    )


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


NAMES: list[Callable[[Path], Path]] = [
    lambda tmp_path: METADATA,
    linked,
    in_a_linked_directory,
    hard_linked,
]


@pytest.fixture(autouse=True)
def no_other_names() -> None:
    shutil.rmtree(METADATA.parent / "demo", ignore_errors=True)


def test_nobody_becomes_superuser_by_a_run_from_the_metadata_into_itself(tmp_path: Path) -> None:
    user = get_user_model().objects.create_user("editor", password="x")
    own = saved_behind_the_back(METADATA)
    columns = "id, password, is_superuser, username, last_name, email, is_staff, is_active, date_joined, first_name"
    module = Module.objects.create(
        name="climb",
        source_connection=own,
        dest_connection=own,
        dest_table="auth_user",
        merge_strategy="upsert",
        merge_key="id",
        source_query=f"SELECT {columns} FROM auth_user".replace(
            "is_superuser", "CASE username WHEN 'editor' THEN 1 ELSE is_superuser END AS is_superuser"
        ),
    )
    done = execute(claim.claim(module, claim.Request()))
    user.refresh_from_db()
    assert not user.is_superuser
    assert done.error is not None and done.error["code"] == "protected"


@pytest.mark.parametrize("name", NAMES)
def test_no_name_of_the_metadata_can_be_saved_opened_read_or_written(
    name: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = name(tmp_path)
    row = Connection(name="sly", driver=Driver.objects.get(kind="sqlite"), jdbc_url=f"jdbc:sqlite:{path}")
    with pytest.raises(ValidationError, match="belongs to Pipekit"):
        row.full_clean()
    refuses_everywhere(parameters(path.absolute()))


def refuses_everywhere(sly: ConnectionParameters) -> None:
    connector = registry.connector(sly.kind)
    assert connector.reader and connector.writer
    with pytest.raises(Protected):
        connector.connect(sly).close()
    batches = connector.reader.read(sly, "SELECT 1 AS n", (), batch_bytes=1000)
    with pytest.raises(Protected):
        list(batches)
    with pytest.raises(Protected):
        connector.writer.write(Target(parameters=sly, table=TableName("", "auth_user"), columns=()), batches)
    assert probe.probe(lambda: sly, name="sly", kind=sly.kind).error["code"] == "protected"  # type: ignore[index]


@pytest.mark.parametrize("name", ["-wal", "-shm", "-journal"])
def test_what_sqlite_keeps_beside_the_metadata_is_refused_whether_or_not_it_is_there(name: str) -> None:
    with pytest.raises(Protected):
        registry.connector("sqlite").connect(parameters(Path(f"{METADATA}{name}")))


def test_a_backup_is_refused_wherever_it_lies(tmp_path: Path) -> None:
    refuses_everywhere(parameters(copied(tmp_path)))


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
def test_what_else_is_pipekits_own_is_neither_opened_nor_made(name: str, kind: str) -> None:
    path = Path(settings.PIPEKIT.data_dir) / name
    there = path.exists()
    with pytest.raises(Protected):
        registry.connector(kind).connect(parameters(path, kind))
    assert path.exists() == there


def test_no_file_is_made_among_the_programs() -> None:
    with pytest.raises(Protected):
        registry.connector("sqlite").connect(parameters(BASE_DIR / "runs" / "sitecustomize.py"))


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
@pytest.mark.parametrize("name", ["json.py", "sitecustomize.py", "django.so", "x.pth", "yaml.pyc"])
def test_no_file_is_made_that_python_would_load_instead_of_a_module(name: str, kind: str) -> None:
    for directory in (BASE_DIR, Path(settings.PIPEKIT.data_dir)):
        with pytest.raises(Protected):
            registry.connector(kind).connect(parameters(directory / name, kind))
        assert not (directory / name).exists()


def test_the_program_that_moves_the_rows_is_neither_opened_nor_made(tmp_path: Path) -> None:
    program = tmp_path / "jrunner"
    protected = protected_paths.of(replace(settings.PIPEKIT, jrunner_path=str(program)))
    with pytest.raises(Protected):
        registry.connector("sqlite").connect(replace(parameters(program), protection=protected))
    assert not program.exists()


def test_what_lies_in_the_data_directory_besides_can_be_used() -> None:
    path = Path(settings.PIPEKIT.data_dir) / "demo" / "erp.db"
    path.parent.mkdir(exist_ok=True)
    registry.connector("sqlite").connect(parameters(path)).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_with_file_roots_files_elsewhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed" / "out").symlink_to(tmp_path)
    limited = replace(parameters(tmp_path).protection, file_roots=(str(tmp_path / "allowed"),))
    for name, right in (("allowed/a.db", True), ("b.db", False), ("allowed/out/c.db", False)):
        given = replace(parameters(tmp_path / name), protection=limited)
        if right:
            registry.connector("sqlite").connect(given).close()
        else:
            with pytest.raises(Protected, match="file_roots|outside"):
                registry.connector("sqlite").connect(given)
        assert (tmp_path / name).exists() == right


ATTACKS = [
    "ATTACH '{file}' AS own",
    "ATTACH '{folder}/' || '{name}' AS own",
    "ATTACH 'file:{file}?mode=rw' AS own",
    "VACUUM INTO '{copy}'",
]


@pytest.mark.parametrize("sql", ATTACKS)
def test_sql_of_a_sqlite_connection_reaches_no_other_file(sql: str, tmp_path: Path) -> None:
    text = sql.format(file=METADATA, folder=METADATA.parent, name=METADATA.name, copy=tmp_path / "copy.db")
    session = registry.connector("sqlite").connect(parameters(tmp_path / "erp.db"))
    try:
        session.execute("CREATE TABLE t (a)")
        for ask in (session.execute, session.fetch):
            with pytest.raises(PipekitError) as refused:
                ask(text)
            assert refused.value.code == "permission_denied"
        # which attaches a file without a name
        session.execute("VACUUM")
    finally:
        session.close()
    assert not (tmp_path / "copy.db").exists()


def test_a_source_query_attaches_nothing_either(tmp_path: Path) -> None:
    erp, out = sqlite(tmp_path / "erp.db"), sqlite(tmp_path / "out.db")
    out.execute("CREATE TABLE t (n integer)")
    for query in (
        f"SELECT 1 AS n; ATTACH '{METADATA}' AS own",
        f"SELECT 1) SELECT 1; ATTACH '{METADATA}' AS own; SELECT n FROM (SELECT 1 AS n",
        "SELECT id AS n FROM own.auth_user",
    ):
        ended = run_job(job(erp, query, out))
        assert ended.code == 1, query
    assert out.rows("SELECT count(*) FROM t") == [(0,)]


# what DuckDB says of what its settings forbid, and of nothing else
FORBIDDEN = "disabled (by|through) configuration|been disabled by|when enable_external_access is disabled"
DUCKDB = [
    "ATTACH '{file}' AS own (TYPE sqlite)",
    "ATTACH '{folder}/other.duckdb' AS own",
    "SELECT * FROM read_text('{secrets}')",
    "SELECT * FROM read_csv('{secrets}')",
    "SELECT * FROM '{table}'",
    "SELECT * FROM glob('{folder}/*')",
    "COPY (SELECT 1) TO '{folder}/secrets.env'",
    "EXPORT DATABASE '{folder}/static'",
    "INSTALL sqlite_scanner",
    "LOAD sqlite_scanner",
    "SET allowed_directories = ['{folder}']",
    "SET temp_directory = '{folder}/static'",
    "SET log_query_path = '{folder}/logs/x'",
]


@pytest.mark.parametrize("sql", DUCKDB)
def test_sql_of_a_duckdb_connection_reaches_no_other_file(sql: str, tmp_path: Path) -> None:
    folder = METADATA.parent
    table = tmp_path / "table.csv"
    table.write_text("a,b\n1,2\n")
    session = registry.connector("duckdb").connect(parameters(tmp_path / "dw.duckdb", "duckdb"))
    try:
        with pytest.raises(PipekitError, match=FORBIDDEN):
            session.fetch(sql.format(file=METADATA, folder=folder, secrets=folder / "secret_key", table=table))
    finally:
        session.close()


@pytest.mark.parametrize(
    "setting",
    [
        "SET enable_external_access = true",
        "RESET enable_external_access",
        "SET autoinstall_known_extensions = true",
        "SET autoload_known_extensions = true",
    ],
)
def test_no_setting_opens_a_duckdb_connection_to_other_files(setting: str, tmp_path: Path) -> None:
    session = registry.connector("duckdb").connect(parameters(tmp_path / "dw.duckdb", "duckdb"))
    try:
        with suppress(PipekitError):
            session.execute(setting)
        for sql in (f"SELECT * FROM read_text('{METADATA.parent / 'secret_key'}')", "LOAD sqlite_scanner"):
            with pytest.raises(PipekitError, match=FORBIDDEN):
                session.fetch(sql)
    finally:
        session.close()


def test_jrunner_refuses_by_job_and_by_hand(tmp_path: Path) -> None:
    out = sqlite(tmp_path / "out.db")
    out.execute("CREATE TABLE t (n integer)")
    ended = run_job(replace(job(out, "SELECT n FROM t", out), source=replace(parameters(linked(tmp_path)), options={})))
    assert (ended.code, ended.last["error"]["code"]) == (1, "protected")
    (tmp_path / "q.sql").write_text("SELECT id AS n FROM auth_user")
    refusals = {METADATA: "belongs to Pipekit itself", copied(tmp_path): "Pipekit's own metadata"}
    for url, refusal in {**refusals, tmp_path / "link.db": "belongs to Pipekit itself"}.items():
        ended = run("-scu", f"jdbc:sqlite:{url}", "-sq", str(tmp_path / "q.sql"), "-f", "csv")
        assert ended.code == 1 and refusal in ended.log, ended.log
        assert not ended.output
    secrets = METADATA.with_name("secrets.env")
    ended = run(
        "-scu",
        f"jdbc:sqlite:{tmp_path / 'out.db'}",
        "-sq",
        str(tmp_path / "q.sql"),
        "-dcu",
        f"sqlite:{secrets}",
        "-dt",
        "t",
    )
    assert ended.code == 1 and not secrets.exists()


def test_a_job_that_does_not_say_what_is_protected_is_refused(tmp_path: Path) -> None:
    erp = sqlite(tmp_path / "erp.db").parameters.as_json()
    del erp["protection"]
    with pytest.raises(KeyError):
        ConnectionParameters.from_json(erp)


@pytest.mark.parametrize("where", ["hook", "resolver"])
def test_hooks_and_resolvers_are_refused(
    where: str, save_module: Callable[..., Module], save_connection: Callable[..., Connection], tmp_path: Path
) -> None:
    erp = parameters(tmp_path / "erp.db")
    System("sqlite", str(tmp_path / "erp.db")).execute("CREATE TABLE s (a integer)", "INSERT INTO s VALUES (1)")
    source = save_connection(replace(erp, name="erp"))
    module = save_module("m", "SELECT a AS a FROM s", source=source, destination=source, dest_table="t")
    own = saved_behind_the_back(METADATA)
    if where == "hook":
        module.hooks.create(run_on="before", connection=own, sql="UPDATE auth_user SET is_superuser = 1")
    else:
        module.source_query = "SELECT a AS a FROM s WHERE a > {w}"
        module.save()
        Watermark.objects.create(module=module, name="w", connection=own, resolver_sql="SELECT password FROM auth_user")
    done = execute(claim.claim(module, claim.Request()))
    assert done.error is not None and done.error["code"] == "protected"
    assert isinstance(from_dict(done.error), Protected)


def test_an_ordinary_copy_of_some_tables_is_no_metadata(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "crm.db") as crm:
        crm.executescript("CREATE TABLE auth_user (id); CREATE TABLE django_migrations (id); CREATE TABLE module (id)")
    crm.close()
    registry.connector("sqlite").connect(parameters(tmp_path / "crm.db")).close()

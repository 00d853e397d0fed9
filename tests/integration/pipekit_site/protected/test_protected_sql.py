"""SQL of connections to SQLite and DuckDB files cannot access other files."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from connections import registry
from connections.sdk.errors import PipekitError
from tests.harness.small_databases import job, sqlite
from tests.integration.pipekit_site.protected.test_protected import METADATA, parameters
from tests.processes.jrunner import run_job

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite_metadata]

SQLITE_ATTACKS = [
    "ATTACH '{file}' AS own",
    "ATTACH '{folder}/' || '{name}' AS own",
    "ATTACH 'file:{file}?mode=rw' AS own",
    "VACUUM INTO '{copy}'",
]


@pytest.mark.parametrize("sql", SQLITE_ATTACKS)
def test_sql_of_a_sqlite_connection_cannot_access_other_files(sql: str, tmp_path: Path) -> None:
    text = sql.format(file=METADATA, folder=METADATA.parent, name=METADATA.name, copy=tmp_path / "copy.db")
    session = registry.connector("sqlite").connect(parameters(tmp_path / "erp.db"))
    try:
        session.execute("CREATE TABLE t (a)")
        for method in (session.execute, session.fetch):
            with pytest.raises(PipekitError) as caught:
                method(text)
            assert caught.value.code == "permission_denied"
        # VACUUM is allowed, although it attaches a temporary file
        session.execute("VACUUM")
    finally:
        session.close()
    assert not (tmp_path / "copy.db").exists()


def test_a_source_query_cannot_attach_files(tmp_path: Path) -> None:
    erp, out = sqlite(tmp_path / "erp.db"), sqlite(tmp_path / "out.db")
    out.execute("CREATE TABLE t (n integer)")
    for query in (
        f"SELECT 1 AS n; ATTACH '{METADATA}' AS own",
        f"SELECT 1) SELECT 1; ATTACH '{METADATA}' AS own; SELECT n FROM (SELECT 1 AS n",
        "SELECT id AS n FROM own.auth_user",
    ):
        result = run_job(job(erp, query, out))
        assert result.code == 1, query
    assert out.rows("SELECT count(*) FROM t") == [(0,)]


# DuckDB's messages about statements that its settings forbid
FORBIDDEN = "disabled (by|through) configuration|been disabled by|when enable_external_access is disabled"
DUCKDB_ATTACKS = [
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


@pytest.mark.default_cases(3)
@pytest.mark.parametrize("sql", DUCKDB_ATTACKS)
def test_sql_of_a_duckdb_connection_cannot_access_other_files(sql: str, tmp_path: Path) -> None:
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
def test_no_setting_lets_a_duckdb_connection_access_other_files(setting: str, tmp_path: Path) -> None:
    session = registry.connector("duckdb").connect(parameters(tmp_path / "dw.duckdb", "duckdb"))
    try:
        with suppress(PipekitError):
            session.execute(setting)
        for sql in (f"SELECT * FROM read_text('{METADATA.parent / 'secret_key'}')", "LOAD sqlite_scanner"):
            with pytest.raises(PipekitError, match=FORBIDDEN):
                session.fetch(sql)
    finally:
        session.close()

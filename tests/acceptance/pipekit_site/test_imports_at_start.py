"""Tests of the imports of commands and of jrunner: only what they use, because imports take most of their time."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipekit_site.config.config import BASE_DIR
from runs.jrunner.job import Job
from tests.harness.small_databases import job, postgresql, sqlite
from tests.processes.install import Install

# the admin, the API, the text interface, and their servers
PAGES = (
    *("unfold.sites", "unfold.admin", "connections.admin", "modules.admin", "runs.admin", "scheduling.admin"),
    *("pipekit_site.urls", "rest_framework.views", "drf_spectacular.openapi", "whitenoise.middleware", "uvicorn"),
    *("rich", "textual"),
)
# columnar data and bulk copies, used only by jrunner
BULK = ("pyarrow", "adbc_driver_manager", "duckdb", "numpy", "pandas")
# the parser for complex queries, database drivers, clients for SMTP and HTTP
OTHER = ("sqlglot", "croniter", "psycopg", "asyncpg", "smtplib", "aiosmtplib", "httpx2", "urllib.request")

# what jrunner imports on no route of these tests
JRUNNER = ("django", "sqlglot", "duckdb", "connections.embedded_postgresql", "modules.query.tokens")

# the class decorator that compiles methods; connections.sdk.records has one that does not
_COMPILED = re.compile(r"^from dataclasses import .*\bdataclass\b(?! as)", re.MULTILINE)

_LIST = """
import sys
sys.argv = ["manage.py", *sys.argv[1:]]
import manage
try:
    manage.main()
finally:
    print("imported:", *sorted(sys.modules), file=sys.stderr)
"""
# jrunner exits with os._exit, so that no thread can delay it
_LIST_JRUNNER = """
import os
import sys
from runs.jrunner.command import main
end = os._exit
def list_and_end(code):
    print("imported:", *sorted(sys.modules), file=sys.stderr, flush=True)
    end(code)
os._exit = list_and_end
list_and_end(main(sys.argv[1:]))
"""
_CONFIG = """\
version: 1
connections:
  here: {driver: sqlite, jdbc_url: '%(directory)s/source.db'}
  there: {driver: sqlite, jdbc_url: '%(directory)s/destination.db'}
modules:
  one_row:
    source_connection: here
    dest_connection: there
    dest_table: one_row
    source_query: SELECT id, name AS "label" FROM one_row WHERE id >= 1
"""


def imported(stderr: str) -> list[str]:
    """Return the names of all modules that a process has imported."""
    modules = stderr.rpartition("imported:")[2].split()
    assert "json" in modules
    return modules


def unwanted(result: subprocess.CompletedProcess[str], *names: str) -> list[str]:
    """Return those of the names that the process has imported."""
    modules = imported(result.stderr)
    return [name for name in names if name in modules]


def with_compiled_dataclasses(result: subprocess.CompletedProcess[str]) -> list[str]:
    """Return Pipekit's own modules that the process has imported and that use the standard library's dataclass."""
    files = [(name, BASE_DIR / f"{name.replace('.', '/')}.py") for name in imported(result.stderr)]
    return [name for name, file in files if file.is_file() and _COMPILED.search(file.read_text())]


@pytest.mark.default_cases(1)
@pytest.mark.sqlite_metadata
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("command", ["check", "runs"])
def test_a_command_that_transfers_no_rows_imports_no_large_library(command: str) -> None:
    result = subprocess.run([sys.executable, "-c", _LIST, command], cwd=BASE_DIR, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert unwanted(result, *PAGES, *BULK, *OTHER) == []


@pytest.mark.default_cases(1)
@pytest.mark.sqlite_metadata
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("command", ["tick", "notify"])
def test_commands_that_send_notifications_import_only_the_clients_in_addition(command: str) -> None:
    result = subprocess.run([sys.executable, "-c", _LIST, command], cwd=BASE_DIR, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert unwanted(result, *PAGES, *BULK, "yaml", "sqlglot", "croniter", "psycopg", "asyncpg") == []


def test_a_run_imports_neither_the_admin_nor_arrow_nor_sqlglot(tmp_path: Path) -> None:
    for name, statement in (("source", "CREATE TABLE one_row (id integer, name text)"), ("destination", "VACUUM")):
        connection = sqlite3.connect(tmp_path / f"{name}.db")
        connection.execute(statement)
        connection.close()
    config = tmp_path / "pipekit.yaml"
    config.write_text(_CONFIG % {"directory": tmp_path})
    install = Install(tmp_path / "var")
    assert install.manage("importconfig", str(config)).code == 0
    result = subprocess.run(
        [sys.executable, "-c", _LIST, "runmodule", "one_row", "--json"],
        cwd=BASE_DIR,
        env=install.environment(),
        capture_output=True,
        text=True,
    )
    assert json.loads(result.stdout)["status"] == "success", result.stderr
    assert unwanted(result, *PAGES, *BULK, *OTHER) == []
    assert with_compiled_dataclasses(result) == []


def test_a_small_job_imports_neither_arrow_s_readers_of_files_nor_its_wrappers_of_functions(tmp_path: Path) -> None:
    source, destination = sqlite(tmp_path / "source.db"), sqlite(tmp_path / "destination.db")
    source.execute("CREATE TABLE t (id integer, name text, price real)", "INSERT INTO t VALUES (1, 'one', 1.5)")
    destination.execute("CREATE TABLE t (id integer, name text, price real)")
    result = run_listed(job(source, "SELECT id, name, price FROM t", destination))
    assert destination.rows("SELECT * FROM t") == [(1, "one", 1.5)], result.stderr
    assert "pyarrow" in imported(result.stderr)
    assert unwanted(result, "pyarrow.compute", "pyarrow.dataset", "importlib.metadata", "yaml", *JRUNNER) == []
    assert with_compiled_dataclasses(result) == []


def test_a_raw_copy_imports_asyncpg_alone(database_url: str) -> None:
    server = postgresql(database_url)
    server.execute("CREATE TABLE s (id integer)", "INSERT INTO s VALUES (1)", "CREATE TABLE t (id integer)")
    work = job(server, "SELECT id FROM s", server)
    columns = tuple(replace(column, source_type=column.dest_type) for column in work.columns)
    result = run_listed(replace(work, columns=columns, typed=True))
    assert server.rows("SELECT * FROM t") == [(1,)], result.stderr
    assert "asyncpg" in imported(result.stderr)
    assert unwanted(result, "pyarrow", "psycopg", "importlib.metadata", "yaml", *JRUNNER) == []
    assert with_compiled_dataclasses(result) == []


def run_listed(work: Job) -> subprocess.CompletedProcess[str]:
    """Execute a job in a jrunner that lists its imports."""
    return subprocess.run(
        [sys.executable, "-c", _LIST_JRUNNER, "--job", "-"],
        cwd=BASE_DIR,
        input=json.dumps(work.as_json()),
        capture_output=True,
        text=True,
    )


def test_jrunner_imports_neither_django_nor_the_libraries_of_other_routes(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "source.db")
    connection.execute("CREATE TABLE one_row (id integer, name text)")
    connection.close()
    (tmp_path / "query.sql").write_text("SELECT id, name FROM one_row")
    flags = ["-scu", str(tmp_path / "source.db"), "-sq", str(tmp_path / "query.sql"), "-f", "csv"]
    result = subprocess.run([sys.executable, "-c", _LIST_JRUNNER, *flags], cwd=BASE_DIR, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "pyarrow" in imported(result.stderr)
    assert unwanted(result, "psycopg", "asyncpg", *JRUNNER) == []

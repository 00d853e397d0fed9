"""A command imports what it uses: imports take most of the time of a short one."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from pipekit_site.config.config import BASE_DIR
from tests.processes.install import Install

# the pages of the admin, of the API and of the terminal, and what serves them
PAGES = (
    *("unfold.sites", "unfold.admin", "connections.admin", "modules.admin", "runs.admin", "scheduling.admin"),
    *("pipekit_site.urls", "rest_framework.views", "drf_spectacular.openapi", "whitenoise.middleware", "uvicorn"),
    *("rich", "textual"),
)
# columnar data and bulk copies, which only jrunner moves
BULK = ("pyarrow", "adbc_driver_manager", "duckdb", "numpy", "pandas")
# the reading of queries that are not plain, database drivers, clients of SMTP and HTTP
OTHER = ("sqlglot", "croniter", "psycopg", "asyncpg", "smtplib", "aiosmtplib", "httpx2", "urllib.request")

_LIST = """
import sys
sys.argv = ["manage.py", *sys.argv[1:]]
import manage
try:
    manage.main()
finally:
    print("imported:", *sorted(sys.modules), file=sys.stderr)
"""
# jrunner ends without Python's own end, so that no thread can hold it up
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
    modules = stderr.rpartition("imported:")[2].split()
    assert "json" in modules
    return modules


def unwanted(done: subprocess.CompletedProcess[str], *names: str) -> list[str]:
    modules = imported(done.stderr)
    return [name for name in names if name in modules]


@pytest.mark.sqlite_metadata
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("command", ["check", "runs"])
def test_a_command_that_moves_no_rows_imports_nothing_heavy(command: str) -> None:
    done = subprocess.run([sys.executable, "-c", _LIST, command], cwd=BASE_DIR, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert unwanted(done, *PAGES, *BULK, *OTHER) == []


@pytest.mark.sqlite_metadata
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("command", ["tick", "notify"])
def test_what_sends_notifications_also_imports_the_clients(command: str) -> None:
    done = subprocess.run([sys.executable, "-c", _LIST, command], cwd=BASE_DIR, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert unwanted(done, *PAGES, *BULK, "sqlglot", "croniter", "psycopg", "asyncpg") == []


def test_a_run_imports_neither_pages_nor_arrow_nor_sqlglot(tmp_path: Path) -> None:
    for name, statement in (("source", "CREATE TABLE one_row (id integer, name text)"), ("destination", "VACUUM")):
        connection = sqlite3.connect(tmp_path / f"{name}.db")
        connection.execute(statement)
        connection.close()
    config = tmp_path / "pipekit.yaml"
    config.write_text(_CONFIG % {"directory": tmp_path})
    install = Install(tmp_path / "var")
    assert install.manage("importconfig", str(config)).code == 0
    done = subprocess.run(
        [sys.executable, "-c", _LIST, "runmodule", "one_row", "--json"],
        cwd=BASE_DIR,
        env=install.environment(),
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout)["status"] == "success", done.stderr
    assert unwanted(done, *PAGES, *BULK, *OTHER) == []


def test_jrunner_imports_neither_django_nor_what_another_route_needs(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "source.db")
    connection.execute("CREATE TABLE one_row (id integer, name text)")
    connection.close()
    (tmp_path / "query.sql").write_text("SELECT id, name FROM one_row")
    flags = ["-scu", str(tmp_path / "source.db"), "-sq", str(tmp_path / "query.sql"), "-f", "csv"]
    done = subprocess.run([sys.executable, "-c", _LIST_JRUNNER, *flags], cwd=BASE_DIR, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "pyarrow" in imported(done.stderr)
    assert unwanted(done, "django", "sqlglot", "duckdb", "psycopg", "asyncpg", "modules.query.tokenizer") == []

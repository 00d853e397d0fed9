"""A command imports what it uses: imports take most of the time of a short one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipekit_site.config.config import BASE_DIR

# the admin's pages, the reading of queries, database drivers, columnar data
HEAVY = (
    "unfold.sites",
    "modules.admin.module",
    "sqlglot",
    "croniter",
    "psycopg",
    "duckdb",
    "pyarrow",
    # nothing is sent
    "httpx2",
    "aiosmtplib",
)

_LIST = """
import sys
sys.argv = ["manage.py", *sys.argv[1:]]
import manage
try:
    manage.main()
finally:
    print("imported:", *sorted(sys.modules), file=sys.stderr)
"""


@pytest.mark.sqlite_metadata
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("command", ["tick", "runs", "notify"])
def test_a_command_that_moves_no_rows_imports_nothing_heavy(command: str) -> None:
    done = subprocess.run([sys.executable, "-c", _LIST, command], cwd=BASE_DIR, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    imported = done.stderr.rpartition("imported:")[2].split()
    assert "django.core.management" in imported
    assert [name for name in HEAVY if name in imported] == []

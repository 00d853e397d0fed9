"""Creates ``of_43a2c86.tar.xz``: the data directory of an earlier version, which `test_data_directory` opens.

Run it with the Python of an installation, on a checkout of that version::

    git worktree add --detach /tmp/before 43a2c86
    .venv/bin/python tests/acceptance/data_directory/make.py /tmp/before

It executes the commands of that version. Only settings, for which there is no command, are saved with its models.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path

# connections contain the path of this directory; the test replaces it with the path of its copy
DIRECTORY = Path("/tmp/pipekit-data-directory")
ARCHIVE = Path(__file__).with_name("of_43a2c86.tar.xz")
CONFIGURATION = """
version: 1
connections:
  erp: {{driver: sqlite, jdbc_url: 'jdbc:sqlite:{files}/erp.db'}}
  lake: {{driver: duckdb, jdbc_url: 'jdbc:duckdb:{files}/lake.duckdb', options: {{create: true}}}}
  mart: {{driver: sqlite, jdbc_url: 'jdbc:sqlite:{files}/mart.db'}}
  warehouse: {{driver: postgresql, jdbc_url: 'jdbc:postgresql://127.0.0.1:1/dw', username: etl, password: $DW_PW}}
modules:
  orders:
    source_connection: erp
    dest_connection: lake
    dest_table: sync.orders
    source_query: SELECT {columns} FROM ORDERS
    merge_strategy: incremental
    merge_key: id
    watermark_column: id
  customers: {{source_connection: erp, dest_connection: mart, dest_table: sync.customers, merge_key: id,
    source_query: 'SELECT ID AS id, NAME AS name FROM CUSTOMERS'}}
  broken: {{source_connection: erp, dest_connection: mart, dest_table: sync.broken,
    source_query: SELECT ID AS id FROM NO_SUCH_TABLE}}
groups:
  nightly: {{members: [{{module: orders}}, {{module: broken, run_order: 2}}]}}
schedules:
  nightly: {{group: nightly, cron_expr: 0 4 * * *, timezone: Europe/Berlin}}
  customers: {{module: customers, cron_expr: 30 6 * * mon, timezone: America/New_York, action: verify}}
"""
# an earlier version may have stored values that are no longer valid, and settings that no longer exist
SETTINGS = """
from runs.models import Setting
for key, value in {
    "min_full_share": 0.4, "max_delete_share": 1, "run_retention_days": 36500, "no_progress_timeout": 0,
    "runs_per_tick": 30, "notification_addresses": ["ann@example.com", "ben@example.com"],
    "notify_manual_runs": True, "late_after_hours": 26.5, "site_url": "https://etl.example.com",
    "webhook_url": "$HOOK_URL", "webhook_secret": "$HOOK_SECRET", "smtp_security": "tls", "smtp_username": "4711",
    "smtp_password": "$MAIL_PW",
}.items():
    row = Setting(key=key, value=value)
    row.full_clean()
    row.save()
Setting.objects.create(key="lease_seconds", value="long")
Setting.objects.create(key="mails_per_hour", value=3)
"""


def main(checkout: Path) -> None:
    """Create the data directory with the version in ``checkout``, and archive it."""
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    files = DIRECTORY / "files"
    files.mkdir(parents=True)
    manage = Installation(checkout)
    change(
        files / "erp.db",
        "CREATE TABLE ORDERS (ID INTEGER PRIMARY KEY, AMOUNT NUMERIC, NOTE TEXT)",
        "CREATE TABLE CUSTOMERS (ID INTEGER PRIMARY KEY, NAME TEXT)",
        "INSERT INTO ORDERS VALUES (1, 10, 'first'), (2, 20, 'second'), (3, 30, NULL)",
        "INSERT INTO CUSTOMERS VALUES (1, 'Ann'), (2, 'Ben')",
    )
    change(files / "mart.db", "CREATE TABLE unrelated (x)")
    for name in ("DW_PW", "HOOK_URL", "HOOK_SECRET", "MAIL_PW"):
        manage("secrets", "set", name, stdin=f"{name.lower()}-value\n")
    manage("createsuperuser", "--noinput", "--username", "ann", "--email", "ann@example.com")
    # import twice, so that the modules have a history
    for columns in ("ID AS id, AMOUNT AS amount", "ID AS id, AMOUNT AS amount, NOTE AS note"):
        (DIRECTORY / "pipekit.yaml").write_text(CONFIGURATION.format(files=files, columns=columns))
        manage("importconfig", str(DIRECTORY / "pipekit.yaml"))
    manage("shell", "-c", SETTINGS)
    manage("runmodule", "orders")
    manage("runmodule", "customers")
    manage("runmodule", "broken", code=1)
    manage("runmodule", "orders", "--dry-run")
    change(files / "erp.db", "INSERT INTO ORDERS VALUES (4, 40, 'fourth')")
    manage("rungroup", "nightly", code=5)
    manage("verifymodule", "orders")
    change(files / "mart.db", """UPDATE "sync.customers" SET name = 'Bob' WHERE id = 2""")
    manage("verifymodule", "customers", code=5)
    # the output of that version, with which the test compares its own
    expected = DIRECTORY / "expected"
    expected.mkdir()
    (expected / "configuration.yaml").write_text(manage("exportconfig"))
    (expected / "runs.json").write_text(manage("runs", "--json"))
    (expected / "secrets.txt").write_text(manage("secrets", "check"))
    (expected / "log.txt").write_text(manage("runlog", "1"))
    with tarfile.open(ARCHIVE, "w:xz", preset=9) as archive:
        for path in sorted(DIRECTORY.rglob("*")):
            # static files and locks are created at each start
            if path.is_file() and not {"static", "locks"} & set(path.relative_to(DIRECTORY).parts):
                archive.add(path, path.relative_to(DIRECTORY))
    print(ARCHIVE, ARCHIVE.stat().st_size, "bytes")


class Installation:
    """Runs the commands of a checkout on the data directory."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout

    def __call__(self, *arguments: str, stdin: str = "", code: int = 0) -> str:
        """Run a command and return its standard output."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PIPEKIT_")}
        own = {"PIPEKIT_DATA_DIR": str(DIRECTORY), "DJANGO_SUPERUSER_PASSWORD": "ann-42-xyzzy", "TZ": "Europe/Berlin"}
        result = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=self.checkout,
            env={**inherited, **own},
            input=stdin,
            stdout=subprocess.PIPE,
            text=True,
        )
        if result.returncode != code:
            raise SystemExit(f"{arguments} exited with {result.returncode}, not {code}.")
        return result.stdout


def extract(to: Path) -> None:
    """Extract the archive, with connections to the extracted files."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(to, filter="data")
    change(to / "pipekit.db", f"UPDATE connection SET jdbc_url = replace(jdbc_url, '{DIRECTORY}', '{to}')")


def change(file: Path, *statements: str) -> None:
    """Execute SQL statements in a SQLite file."""
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

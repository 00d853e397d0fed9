"""An install of a test's own, its metadata in its own SQLite file, with one module that syncs a generator's table."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

from pipekit_site.config.config import BASE_DIR
from runs.engine.plan import Strategy
from tests.faults.changing_source import MERGING, QUERY, Generator
from tests.processes.install import Install

# the command itself, but with half a second for each write, one second more at the end
_IMPATIENT = """
import sys
import django
from pipekit_site import settings
settings.DATABASES["default"]["OPTIONS"]["timeout"] = 0.5
django.setup()
from django.core.management import call_command
from runs.lifecycle import record
record._FINISH_TIMEOUT = 1.0
call_command("runmodule", "orders", "--json")
"""


def configure(install: Install, generator: Generator) -> None:
    """Import the module `orders`, beside the install what it is imported from."""
    file = install.data_dir.with_suffix(".yaml")
    file.write_text(configuration(generator))
    done = install.manage("importconfig", str(file))
    assert done.code == 0, done.err


def configuration(generator: Generator) -> str:
    key = "k" if generator.strategy in MERGING or generator.key_sync else "null"
    return f"""
version: 1
connections:
  shop: {{driver: postgresql, jdbc_url: "{generator.bench.source.url}"}}
  warehouse: {{driver: postgresql, jdbc_url: "{generator.bench.destination.url}"}}
modules:
  orders:
    source_connection: shop
    dest_connection: warehouse
    dest_table: sync.t
    source_query: {QUERY}
    merge_strategy: {generator.strategy.value}
    merge_key: {key}
    watermark_column: {"null" if generator.strategy is Strategy.FULL else "w"}
    key_sync: {str(generator.key_sync).lower()}
"""


def impatient(install: Install, **variables: str) -> subprocess.Popen[str]:
    """Start `runmodule orders --json` with less patience for metadata that cannot be written."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIPEKIT_")}
    return subprocess.Popen(
        [sys.executable, "-c", _IMPATIENT],
        cwd=BASE_DIR,
        env={**kept, "PIPEKIT_DATA_DIR": str(install.data_dir), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def database(install: Install) -> Path:
    return install.data_dir / "pipekit.db"


def runs(install: Install, columns: str = "status") -> list[Any]:
    """Those columns of every run, read past Pipekit, the oldest first."""
    with sqlite3.connect(f"file:{database(install)}?mode=ro", uri=True, timeout=30) as connection:
        found = connection.execute(f"SELECT {columns} FROM run_log ORDER BY id").fetchall()
    connection.close()
    return [row[0] if len(row) == 1 else row for row in found]

"""Installs with metadata in a SQLite file of their own and one module that syncs a generator's table."""

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

# runmodule with a timeout of half a second for each write to the metadata, one second for the last one
_PROGRAM = """
import sys
import django
from pipekit_site import settings
settings.DATABASES["default"]["OPTIONS"]["timeout"] = 0.5
django.setup()
from django.core.management import call_command
from runs.lifecycle import metadata_retry
metadata_retry._FINISH_TIMEOUT = 1.0
call_command("runmodule", "orders", "--json")
"""


def configure(install: Install, generator: Generator) -> None:
    """Import the module `orders` from a file beside the data directory."""
    file = install.data_dir.with_suffix(".yaml")
    file.write_text(configuration(generator))
    result = install.manage("importconfig", str(file))
    assert result.code == 0, result.err


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


def start_with_short_timeouts(install: Install, **variables: str) -> subprocess.Popen[str]:
    """Start `runmodule orders --json` with short timeouts for metadata that cannot be written."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIPEKIT_")}
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        cwd=BASE_DIR,
        env={**environment, "PIPEKIT_DATA_DIR": str(install.data_dir), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def database(install: Install) -> Path:
    """Return the file of the install's metadata."""
    return install.data_dir / "pipekit.db"


def runs(install: Install, columns: str = "status") -> list[Any]:
    """Return these columns of all runs, oldest first, read from the SQLite file."""
    with sqlite3.connect(f"file:{database(install)}?mode=ro", uri=True, timeout=30) as connection:
        rows = connection.execute(f"SELECT {columns} FROM run_log ORDER BY id").fetchall()
    connection.close()
    return [row[0] if len(row) == 1 else row for row in rows]

"""An install with its own data directory and metadata, which tests use by commands."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.harness.bench import Bench
from tests.processes import warm
from tests.processes.commands import CommandResult


@dataclass(frozen=True, slots=True)
class Install:
    """An install. ``database`` is the URL of its metadata, empty for the default, a SQLite file."""

    data_dir: Path
    database: str = ""

    def manage(self, *arguments: str, **variables: str) -> CommandResult:
        """Run a command to its end, with more environment variables."""
        process = self.start(*arguments, **variables)
        out, err = process.communicate(timeout=180)
        return CommandResult(process.returncode, out, err)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        settings = {"DJANGO_SETTINGS_MODULE": "pipekit_site.settings"}
        return warm.manage(arguments, env=settings | self.environment(**variables))

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the environment of a command of this install: no other PIPEKIT_* variables than these."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PIPEKIT_")}
        database = {"PIPEKIT_DATABASE": self.database} if self.database else {}
        return {**inherited, "PIPEKIT_DATA_DIR": str(self.data_dir), **database, **variables}

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Query the metadata in PostgreSQL."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            return connection.execute(sql.encode()).fetchall()

    def configure(self, bench: Bench, *modules: str, extra: str = "") -> None:
        """Import modules, each from table SOURCE of the bench into `sync.<module>`; ``extra`` is more YAML."""
        lines = [
            "version: 1",
            "connections:",
            f"  erp: {{driver: sqlite, jdbc_url: '{bench.source.url}'}}",
            f"  warehouse: {{driver: postgresql, jdbc_url: '{bench.destination.url}'}}",
            "modules:",
        ]
        for name in modules:
            fields = f"source_connection: erp, dest_connection: warehouse, dest_table: sync.{name}"
            lines.append(f"  {name}: {{{fields}, source_query: SELECT A AS a FROM SOURCE}}")
        file = self.data_dir / "modules.yaml"
        file.write_text("\n".join([*lines, extra]))
        result = self.manage("importconfig", str(file))
        assert result.code == 0, result.err

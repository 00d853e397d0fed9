"""Tables with one value of any type, as source and destination."""

from __future__ import annotations

from tests.harness.small_databases import System


def create_source(system: System, native: str, value: str) -> None:
    system.execute(
        "DROP TABLE IF EXISTS s",
        f"CREATE TABLE s (n integer, v {native})",
        f"INSERT INTO s VALUES (1, NULL), (2, {value})",
    )


def create_destination(system: System, native: str) -> None:
    system.execute("DROP TABLE IF EXISTS t", f"CREATE TABLE t (n integer, v {native})")

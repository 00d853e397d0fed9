"""Properties in the URLs of SQLite and DuckDB files that limit: how long to wait, how much memory, and writing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import duckdb
import pytest

from connections.connectors.duckdb import driver as duckdb_driver
from connections.connectors.duckdb import memory
from connections.connectors.sqlite import driver
from connections.connectors.sqlite.writer import WRITER
from connections.sdk.errors import LockTimeout, PipekitError, UrlInvalid
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Batches, WriteTarget
from connections.sdk.schema import TableName

_WRITING = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("CREATE TABLE t (n INTEGER)")
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[ConnectionParameters]:
    """Yield parameters, with a short busy_timeout, of a file in which another process is writing.

    In this process the locks of sqlite3 and of ADBC, each with an SQLite of its own, do not exclude each other.
    """
    path = tmp_path / "erp.db"
    command = [sys.executable, "-c", _WRITING, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout and process.stdout.readline()
        yield ConnectionParameters(name="erp", kind="sqlite", url=f"jdbc:sqlite:{path}?busy_timeout=300")
        process.stdin.close()


def test_a_session_waits_for_a_locked_sqlite_file_as_long_as_busy_timeout_says(locked: ConnectionParameters) -> None:
    start = time.monotonic()
    with pytest.raises(PipekitError, match="locked"):
        driver.connect(locked)
    assert 0.3 <= time.monotonic() - start < 5


def test_a_writer_waits_for_a_locked_sqlite_file_as_long_as_busy_timeout_says(locked: ConnectionParameters) -> None:
    target = WriteTarget(parameters=locked, table=TableName("", "t"), columns=())
    start = time.monotonic()
    with pytest.raises(LockTimeout):
        WRITER.write(target, cast(Batches, ()))
    assert 0.3 <= time.monotonic() - start < 5


@pytest.fixture
def lake(tmp_path: Path) -> ConnectionParameters:
    path = tmp_path / "lake.duckdb"
    duckdb.connect(str(path)).close()
    return ConnectionParameters(name="lake", kind="duckdb", url=f"jdbc:duckdb:{path}")


def with_property(parameters: ConnectionParameters, text: str) -> ConnectionParameters:
    return replace(parameters, url=f"{parameters.url};{text}")


def test_threads_and_memory_limit_limit_a_duckdb_session(lake: ConnectionParameters) -> None:
    session = duckdb_driver.connect(with_property(lake, "threads=2;memory_limit=100MB"))
    try:
        settings = session.fetch("SELECT current_setting('threads'), current_setting('memory_limit')")
        assert settings == [(2, "95.3 MiB")]
    finally:
        session.close()


def test_the_option_memory_limit_precedes_that_of_the_url(lake: ConnectionParameters) -> None:
    parameters = with_property(lake, "memory_limit=100MB")
    assert memory.configured_limit(parameters) == "100MB"
    assert memory.configured_limit(replace(parameters, options={"memory_limit": "1GB"})) == "1GB"


@pytest.mark.parametrize(("text", "name"), [("threads=0", "threads"), ("memory_limit=much", "memory_limit")])
def test_an_invalid_limit_is_named(lake: ConnectionParameters, text: str, name: str) -> None:
    with pytest.raises(UrlInvalid, match=f"The value of the property “{name}” is not valid"):
        duckdb_driver.connect(with_property(lake, text))


@pytest.mark.parametrize(("mode", "writes"), [("READ_ONLY", False), ("read_only", False), ("READ_WRITE", True)])
def test_access_mode_decides_whether_a_duckdb_file_is_written(
    lake: ConnectionParameters, mode: str, writes: bool
) -> None:
    session = duckdb_driver.connect(with_property(lake, f"access_mode={mode}"))
    try:
        if writes:
            session.execute("CREATE TABLE t (n INTEGER)")
        else:
            with pytest.raises(PipekitError, match="read-only"):
                session.execute("CREATE TABLE t (n INTEGER)")
    finally:
        session.close()


def test_a_file_that_is_also_the_destination_is_opened_for_writing(lake: ConnectionParameters) -> None:
    parameters = with_property(lake, "access_mode=read_only")
    session = duckdb_driver.connect(replace(parameters, options={"same_file": True}))
    try:
        session.execute("CREATE TABLE t (n INTEGER)")
    finally:
        session.close()

"""Sessions of SQLite databases: errors that end a transaction, and files that cannot be opened."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from connections.connectors.sqlite import driver
from connections.sdk import errors
from connections.sdk.parameters import ConnectionParameters


def test_a_full_file_raises_disk_full_although_sqlite_has_rolled_back_already(tmp_path: Path) -> None:
    parameters = ConnectionParameters(
        name="erp", kind="sqlite", url=f"jdbc:sqlite:{tmp_path / 'erp.db'}", options={"create": True}
    )
    session = driver.connect(parameters)
    try:
        session.execute("CREATE TABLE t (v TEXT)")
        session.fetch("PRAGMA max_page_count = 10")
        with pytest.raises(errors.DiskFull), session.transaction():
            session.execute("INSERT INTO t VALUES (?)", ["x" * 100_000])
        assert session.fetch("SELECT count(*) FROM t") == [(0,)]
    finally:
        session.close()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="the open files of a process are in /proc")
def test_a_file_that_is_no_database_is_closed_after_the_error(tmp_path: Path) -> None:
    file = tmp_path / "erp.db"
    file.write_text("This is a text and not a database. " * 100)
    with pytest.raises(errors.DatabaseMissing) as caught:
        driver.connect(ConnectionParameters(name="erp", kind="sqlite", url=f"jdbc:sqlite:{file}"))
    # the error, and with it the frames of the traceback, are still referenced
    assert caught.value.__cause__
    assert str(file) not in [os.path.realpath(entry) for entry in os.scandir("/proc/self/fd")]

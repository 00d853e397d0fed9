"""Sessions of SQLite databases: errors that end a transaction."""

from __future__ import annotations

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

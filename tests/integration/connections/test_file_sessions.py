"""Sessions of SQLite databases: errors that end a transaction, and files that cannot be opened."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from connections import registry
from connections.connectors.sqlite import driver
from connections.probe import probe_connection
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


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_path_that_cannot_be_a_file_is_named_with_what_to_do(tmp_path: Path, kind: str) -> None:
    def error_of(path: Path, *, create: bool = True) -> errors.PipekitError:
        parameters = ConnectionParameters(name="dw", kind=kind, url=f"jdbc:{kind}:{path}", options={"create": create})
        with pytest.raises(errors.PipekitError) as caught:
            registry.connector(kind).connect(parameters)
        probed = probe_connection(lambda: parameters, name="dw", kind=kind)
        assert probed.error == caught.value.as_dict()
        return caught.value

    directory = error_of(tmp_path)
    assert (directory.code, directory.message) == ("database_missing", f"dw: {tmp_path} is a directory.")
    # its disk may be mounted later, so this is retried
    path = tmp_path / "none" / "dw.db"
    unmounted = error_of(path)
    assert (unmounted.code, unmounted.retryable) == ("connection_failed", True)
    assert unmounted.message == f"dw: There is no directory {path.parent}."
    assert unmounted.hint.startswith("Create it, mount the disk")
    assert error_of(path, create=False).code == "database_missing"

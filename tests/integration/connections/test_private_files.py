"""Files that a connection creates are private to their owner, whatever the umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from connections import registry
from connections.sdk.files.private import private_umask
from connections.sdk.parameters import ConnectionParameters
from tests.benches.small_databases import System, job
from tests.processes.jrunner import run_job


@pytest.fixture(autouse=True)
def empty_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def modes(directory: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}


def system(directory: Path, kind: str) -> System:
    return System(kind, str(directory / f"new.{kind}"))


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_new_database_and_its_temporary_files_are_private(kind: str, tmp_path: Path) -> None:
    session = registry.connector(kind).connect(system(tmp_path, kind).parameters)
    try:
        if kind == "sqlite":
            session.fetch("PRAGMA journal_mode = wal")
        session.execute("CREATE TABLE t (n integer)")
        session.execute("INSERT INTO t VALUES (1)")
        modes_while_open = modes(tmp_path)
    finally:
        session.close()
    assert len(modes_while_open) > 1, "there was no file beside the database"
    assert set(modes_while_open.values()) == {0o600}
    assert set(modes(tmp_path).values()) == {0o600}
    # the umask of the process is unchanged
    (tmp_path / "mine").touch()
    assert modes(tmp_path)["mine"] == 0o666


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_file_that_jrunner_creates_is_private(kind: str, tmp_path: Path) -> None:
    source, new, other = system(tmp_path, "sqlite"), System(kind, str(tmp_path / "made")), system(tmp_path, "duckdb")
    source.execute("CREATE TABLE s (n integer)", "INSERT INTO s VALUES (1)")
    other.execute("CREATE TABLE t (n integer)")
    work = replace(job(source, "SELECT n FROM s", other), destination=new.parameters)
    # the job fails, because there is no table, but it has created the file
    assert run_job(work).code == 1
    assert modes(tmp_path)["made"] == 0o600


def test_an_existing_file_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "shared.db"
    file.touch(mode=0o664)
    parameters = ConnectionParameters(kind="sqlite", url=str(file), options={"create": True})
    registry.connector("sqlite").connect(parameters).close()
    assert modes(tmp_path) == {"shared.db": 0o664}


def test_the_umask_is_restored_when_the_outermost_private_umask_ends() -> None:
    with private_umask():
        with private_umask():
            pass
        assert os.umask(0o077) == 0o077
    assert os.umask(0) == 0

"""Files that a connection creates are private to their owner, whatever the umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connections import registry
from connections.sdk.files.private import private_directory, private_umask, replace_file
from connections.sdk.parameters import ConnectionParameters
from tests.harness.small_databases import System, job
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


@pytest.mark.default_cases(1)
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


@pytest.fixture
def no_chown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process be root on a file system that refuses changes of the owner, as NFS with root_squash does."""

    def refuse(*args: Any) -> None:
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", refuse)


def test_files_of_the_same_owner_are_written_by_root_where_the_owner_cannot_be_changed(
    no_chown: None, tmp_path: Path
) -> None:
    file = private_directory(tmp_path / "spool") / "run.json"
    replace_file(file, "1")
    replace_file(file, "2")
    assert file.read_text() == "2"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can create files of another user")
def test_new_files_are_written_by_root_where_the_owner_cannot_be_changed(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    os.chown(tmp_path, 4417, 4417)
    existing = tmp_path / "secrets.env"
    existing.write_text("A=1")
    os.chown(existing, 4417, 4417)
    request.getfixturevalue("no_chown")
    replace_file(private_directory(tmp_path / "spool") / "run.json", "1")
    replace_file(tmp_path / "run.json", "1")
    # a user who could read it before could not any more
    with pytest.raises(PermissionError):
        replace_file(existing, "A=2")
    assert existing.read_text() == "A=1"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can create files of another user")
def test_files_that_root_writes_belong_to_the_owner_of_the_directory(tmp_path: Path) -> None:
    os.chown(tmp_path, 4417, 4418)
    file = private_directory(tmp_path / "spool") / "run.json"
    replace_file(file, "1")
    assert {(path.stat().st_uid, path.stat().st_gid) for path in (file, file.parent)} == {(4417, 4418)}

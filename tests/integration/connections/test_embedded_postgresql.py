"""The embedded PostgreSQL: its directory, the user it runs as, and who can connect."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.exceptions import ValidationError

from connections import embedded_postgresql, registry
from connections.embedded_postgresql import cluster as cluster_module
from connections.embedded_postgresql import programs
from connections.embedded_postgresql.cluster import Cluster
from connections.embedded_postgresql.system_user import system_user
from connections.models import Connection, Driver
from connections.sdk.errors import ConfigurationInvalid, PipekitError
from connections.sdk.parameters import ConnectionParameters


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A private directory whose name has blanks and is too long for the path of a socket."""
    path = Path(tempfile.mkdtemp(prefix="pipekit embedded é ")) / ("long" * 25)
    path.mkdir()
    path.parent.chmod(0o700)
    yield path
    for file in path.rglob("PG_VERSION"):
        embedded_postgresql.stop(file.parent)
    shutil.rmtree(path.parent)


@pytest.fixture(scope="module")
def directory(home: Path) -> Path:
    embedded_postgresql.ensure_running(home / "postgresql", within=home)
    return home / "postgresql"


def parameters(directory: Path, home: Path, username: str = "") -> ConnectionParameters:
    parameters = ConnectionParameters(
        kind="postgresql",
        url="jdbc:postgresql://embedded/postgres",
        username=username,
        options={"embedded": str(directory)},
    )
    return replace(parameters, protection=replace(parameters.protection, data_dir=str(home)))


def fetch(parameters: ConnectionParameters, sql: str) -> list[tuple[Any, ...]]:
    with closing(registry.connector("postgresql").connect(parameters)) as session:
        return session.fetch(sql)


@pytest.mark.matrix
def test_the_server_runs_below_a_private_directory_without_changing_its_mode(directory: Path, home: Path) -> None:
    assert fetch(parameters(directory, home), "SELECT 1") == [(1,)]
    assert [stat.S_IMODE(path.stat().st_mode) for path in (home.parent, directory)] == [0o700, 0o700]
    assert home.parent.stat().st_uid == os.geteuid()


@pytest.mark.matrix
def test_a_killed_process_that_started_the_server_leaves_no_lock(
    directory: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded_postgresql.stop(directory)
    starter = (
        "import os, signal, sys; from pathlib import Path\n"
        "from connections.embedded_postgresql.cluster import Cluster\n"
        "from connections.embedded_postgresql.system_user import system_user\n"
        "with Cluster.opened(Path(sys.argv[1]), system_user()) as cluster, cluster.locked():\n"
        "    cluster.start()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    result = subprocess.run([sys.executable, "-c", starter, str(directory)], timeout=60)
    assert result.returncode == -signal.SIGKILL
    monkeypatch.setattr(cluster_module, "_TIMEOUT", 0.5)
    with Cluster.opened(directory, system_user()) as cluster, cluster.locked():
        # the server outlives the process that started it, and any other process can stop it
        assert cluster.runs()
    assert fetch(parameters(directory, home), "SELECT 1") == [(1,)]


def test_the_socket_is_in_the_data_directory(directory: Path) -> None:
    assert stat.S_ISSOCK((directory / ".s.PGSQL.5432").stat().st_mode)


def test_the_server_runs_as_a_dedicated_user_without_the_groups_of_root(directory: Path) -> None:
    pid = (directory / "postmaster.pid").read_text().splitlines()[0]
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    user = pwd.getpwuid(directory.stat().st_uid)
    assert set(status["Uid"].split()) == {str(user.pw_uid)} and user.pw_uid != 0
    assert set(status["Gid"].split()) == {str(user.pw_gid)}
    assert "0" not in status["Groups"].split()


def test_the_server_does_not_inherit_the_environment(directory: Path) -> None:
    pid = (directory / "postmaster.pid").read_text().splitlines()[0]
    assert b"PIPEKIT_DATA_DIR" not in Path(f"/proc/{pid}/environ").read_bytes()


@pytest.mark.parametrize("username", ["", "postgres"])
def test_a_connection_with_any_username_is_not_a_superuser(username: str, directory: Path, home: Path) -> None:
    target = parameters(directory, home, username)
    assert fetch(target, "SELECT current_user::text, current_setting('is_superuser')") == [("pipekit", "off")]
    with closing(registry.connector("postgresql").connect(target)) as session:
        session.execute("CREATE TABLE IF NOT EXISTS public.attack (t text)")
        for sql in (
            "COPY attack FROM PROGRAM 'id'",
            "COPY attack TO PROGRAM 'cat'",
            "COPY attack FROM '/etc/passwd'",
            "SELECT pg_read_file('/etc/passwd')",
            "ALTER ROLE pipekit SUPERUSER",
            "GRANT pg_execute_server_program TO pipekit",
            "SET ROLE postgres",
            "SET SESSION AUTHORIZATION postgres",
            "CREATE EXTENSION file_fdw",
            "ALTER SYSTEM SET archive_command = 'id'",
        ):
            with pytest.raises(PipekitError):
                session.execute(sql)


def test_the_superuser_cannot_connect_over_the_socket_without_a_password(directory: Path) -> None:
    with Cluster.opened(directory, system_user()) as cluster, pytest.raises(psycopg.OperationalError):
        psycopg.connect(host=cluster.client_directory(), user="postgres", dbname="postgres")


@pytest.mark.matrix
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_other_users_of_the_machine_cannot_connect() -> None:
    # everyone may enter the directory, so only the server itself can refuse the connection
    home = Path(tempfile.mkdtemp(prefix="pk-"))
    home.chmod(0o755)
    try:
        embedded_postgresql.ensure_running(home / "pg")
        (home / "pg").chmod(0o750)
        psql = programs.directory(programs.NEWEST, system_user()) / "psql"
        command = [str(psql), "-h", str(home / "pg"), "-U", "pipekit", "-d", "postgres", "-c", "SELECT 1"]
        # the process also has the group that may enter
        result = subprocess.run(command, user=65534, group=system_user().gid, capture_output=True, text=True, cwd="/")
        assert "Peer authentication failed" in result.stderr
    finally:
        embedded_postgresql.stop(home / "pg")
        shutil.rmtree(home)


def occupied(path: Path) -> Path:
    """Make a directory that is not empty."""
    path.mkdir()
    (path / "notes.txt").write_text("mine")
    return path


def test_directories_of_others_are_refused_and_left_unchanged(home: Path, tmp_path: Path) -> None:
    (tmp_path / "foreign").mkdir(mode=0o700)
    (home / "way out").symlink_to(tmp_path)
    for path in (tmp_path / "foreign" / "pg", occupied(home / "occupied"), home / "way out" / "pg", home):
        before = [(p, p.stat().st_mode, p.stat().st_uid) for p in (tmp_path, tmp_path / "foreign", home)]
        with pytest.raises(ConfigurationInvalid, match="did not start"):
            fetch(parameters(path, home), "SELECT 1")
        assert before == [(p, p.stat().st_mode, p.stat().st_uid) for p in (tmp_path, tmp_path / "foreign", home)]
    assert not list((tmp_path / "foreign").iterdir())


@pytest.mark.parametrize("name", ["static/pg", "logs/runs/pg", "backups", "spool/x", "locks/y"])
def test_directories_reserved_for_pipekit_are_refused(name: str, home: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match="is reserved for Pipekit's own files"):
        fetch(parameters(home / name, home), "SELECT 1")
    assert not (home / name).exists()


@pytest.mark.django_db
def test_a_connection_to_a_directory_outside_the_data_directory_is_not_saved(tmp_path: Path) -> None:
    row = Connection(name="dw", driver=Driver.objects.get(kind="postgresql"), jdbc_url="jdbc:postgresql://x/dw")
    row.options = {"embedded": str(tmp_path / "pg")}
    with pytest.raises(ValidationError, match="is outside of"):
        row.full_clean()
    row.options = {"embedded": str(Path(settings.PIPEKIT.data_dir) / "dw")}
    row.full_clean()
    assert not (Path(settings.PIPEKIT.data_dir) / "dw").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")
def test_a_data_directory_of_another_user_is_refused(home: Path) -> None:
    path = home / "theirs"
    path.mkdir()
    (path / "PG_VERSION").write_text("18\n")
    os.chown(path, 65534, 65534)
    with pytest.raises(ConfigurationInvalid, match="belongs to another user"):
        embedded_postgresql.ensure_running(path, within=home)


@pytest.mark.matrix
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has programs that others cannot reach")
def test_programs_in_a_private_directory_are_copied_and_the_directory_stays_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = programs.directory(programs.NEWEST, system_user()).parent
    hidden = tmp_path / "root" / installed.name
    shutil.copytree(installed, hidden)
    hidden.parent.chmod(0o700)
    shared = Path(tempfile.mkdtemp(prefix="pk-"))
    shared.chmod(0o755)
    monkeypatch.setattr(programs, "_SHARED", shared)
    try:
        assert not programs._is_accessible(hidden, system_user())
        copy = programs._copy(hidden)
        assert programs._is_accessible(copy, system_user())
        assert stat.S_IMODE(hidden.parent.stat().st_mode) == 0o700
        assert not [path for path in copy.rglob("*") if path.stat().st_mode & 0o022]
    finally:
        shutil.rmtree(shared)


def test_whether_a_server_runs_is_known_without_starting_it(directory: Path, home: Path) -> None:
    embedded_postgresql.ensure_running(directory)
    assert embedded_postgresql.is_running(directory, within=home)
    assert embedded_postgresql.stop(directory)
    assert not embedded_postgresql.is_running(directory, within=home)
    assert embedded_postgresql.stop(directory)


def test_a_server_that_does_not_exist_is_neither_running_nor_stopped(home: Path) -> None:
    assert not embedded_postgresql.is_running(home / "none", within=home)
    assert not embedded_postgresql.stop(home / "none")
    assert not (home / "none").exists()

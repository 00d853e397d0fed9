"""The embedded PostgreSQL of a test session, and a fresh database of it for each test that asks."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from connections import embedded_postgresql
from tests.databases import Databases


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a running server that this session owns; gone, with its files, afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="pk-"))
    data = directory / "pg"
    try:
        embedded_postgresql.ensure_running(data)
        yield _for_superuser(data)
    finally:
        embedded_postgresql.stop(data)
        shutil.rmtree(directory, ignore_errors=True)


def _for_superuser(data: Path) -> str:
    """Let the superuser in without a password, and return the URL: tests make roles and look into the server.

    What is in it need not outlive the machine: the many databases of the tests are made and dropped without a wait for
    the disk. A server that is killed loses nothing by that.
    """
    hba = data / "pg_hba.conf"
    hba.write_text(f"local all postgres trust\n{hba.read_text()}")
    with psycopg.connect(**embedded_postgresql.superuser_settings(data), autocommit=True) as connection:  # type: ignore[arg-type]
        for setting in ("fsync", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")
    return f"postgresql://postgres:@/postgres?host={data}"


@pytest.fixture(scope="session")
def databases(postgresql_server: str) -> Databases:
    return Databases(postgresql_server)


@pytest.fixture
def new_database(databases: Databases) -> Iterator[Callable[[], str]]:
    """Make empty databases for this test alone; each call returns one's URL."""
    names = list[str]()

    def make() -> str:
        names.append(databases.take())
        return databases.url(names[-1])

    try:
        yield make
    finally:
        for name in names:
            databases.give_back(name)


@pytest.fixture
def database_url(new_database: Callable[[], str]) -> str:
    """The URL of an empty database for this test alone."""
    return new_database()


@pytest.fixture
def guarded_url(database_url: str) -> Iterator[str]:
    """The same database for the user `guarded`, whom the server lets in only with the password `right-pw-7391`."""
    server = urlsplit(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE guarded LOGIN SUPERUSER PASSWORD 'right-pw-7391'")
        # the server has a name of its own for its directory
        hba = Path(connection.info.host) / "pg_hba.conf"
        before = hba.read_text()
        hba.write_text(f"local all guarded scram-sha-256\n{before}")
        connection.execute("SELECT pg_reload_conf()")
    try:
        yield urlunsplit(server._replace(netloc="guarded@"))
    finally:
        hba.write_text(before)
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("DROP OWNED BY guarded CASCADE")
            connection.execute("DROP ROLE guarded")

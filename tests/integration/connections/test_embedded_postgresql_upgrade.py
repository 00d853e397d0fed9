"""An embedded PostgreSQL that an earlier version of Pipekit has created."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from connections import embedded_postgresql, registry
from connections.embedded_postgresql.cluster import Cluster
from connections.embedded_postgresql.system_user import system_user
from connections.sdk.errors import PipekitError
from tests.integration.connections.test_embedded_postgresql import fetch, parameters


@pytest.mark.matrix
def test_a_server_of_an_earlier_version_is_secured_and_keeps_its_data(tmp_path: Path) -> None:
    home = Path(tempfile.mkdtemp(prefix="pk-"))
    path = home / "pg"
    try:
        start_earlier_version(path)
        target = parameters(path, home)
        assert fetch(target, "SELECT n, s FROM sync.t ORDER BY n") == [(1, "a"), (2, "b")]
        with closing(registry.connector("postgresql").connect(target)) as session:
            session.execute("INSERT INTO sync.t (s) VALUES ('c')")
            session.execute("ALTER TABLE sync.t ADD COLUMN more integer")
            session.execute("DROP VIEW sync.v")
            session.execute("CREATE SCHEMA pipekit_staging")
            assert session.fetch("SELECT sync.f()") == [(1,)]
            for sql in ("COPY sync.t FROM PROGRAM 'id'", "SET ROLE other_superuser"):
                with pytest.raises(PipekitError):
                    session.execute(sql)
        assert fetch(parameters(path, home, "other_superuser"), "SELECT current_setting('is_superuser')") == [("off",)]
        assert fetch(replace(target, url="jdbc:postgresql://embedded/shop"), "SELECT count(*) FROM orders") == [(0,)]
    finally:
        embedded_postgresql.stop(path)
        shutil.rmtree(home)


def start_earlier_version(path: Path) -> None:
    """Start a server as earlier versions did: it trusts every user, and the superuser owns everything."""
    user = system_user()
    path.mkdir(mode=0o700)
    os.chown(path, user.uid, user.gid)
    with Cluster.opened(path, user) as cluster:
        cluster.run("initdb", "-D", cluster.server_path, "--auth=trust", "--encoding=utf8", "-U", "postgres")
        cluster.write(".handle_pids.json", "[]")
        cluster.start()
    with psycopg.connect(host=str(path), user="postgres", dbname="postgres", autocommit=True) as connection:
        for sql in (
            "CREATE SCHEMA sync",
            "CREATE TYPE sync.mood AS ENUM ('good')",
            "CREATE DOMAIN sync.short AS text",
            "CREATE TABLE sync.t (n serial PRIMARY KEY, s text)",
            "INSERT INTO sync.t (s) VALUES ('a'), ('b')",
            "CREATE VIEW sync.v AS SELECT * FROM sync.t",
            "CREATE MATERIALIZED VIEW sync.m AS SELECT * FROM sync.t",
            "CREATE SEQUENCE sync.free",
            "CREATE FUNCTION sync.f() RETURNS integer LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
            "CREATE AGGREGATE sync.total (integer) (SFUNC = int4pl, STYPE = integer)",
            "CREATE ROLE other_superuser LOGIN SUPERUSER",
            "CREATE ROLE etl LOGIN",
            "GRANT pg_execute_server_program TO etl",
            "CREATE DATABASE shop",
        ):
            connection.execute(sql)
    with psycopg.connect(host=str(path), user="postgres", dbname="shop", autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (n integer)")

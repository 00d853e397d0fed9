"""Testing a connection: each failure is reported at its step, and the test leaves nothing behind."""

from __future__ import annotations

import json
import socket
import socketserver
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

import duckdb
import psycopg
import pytest

from connections.probe import Result, probe_connection
from connections.sdk.errors import SecretMissing
from connections.sdk.parameters import ConnectionParameters
from tests.servers.ports import reserved_port

PASSWORD = "right-pw-7391"


def _probe(kind: str, url: str, *, write: bool = False, **more: object) -> Result:
    parameters = ConnectionParameters(kind=kind, url=url, name="target", **more)  # type: ignore[arg-type]
    return probe_connection(lambda: parameters, name="target", kind=kind, write=write)


def _steps(result: Result) -> dict[str, bool]:
    return {step.name: step.ok for step in result.steps}


def _failed(result: Result, step: str, code: str) -> dict[str, str]:
    """Assert that the test ended with this step and error, and return the error."""
    assert [item.name for item in result.steps if not item.ok] == [step]
    assert result.steps[-1].name == step and not result.ok
    assert result.error is not None and result.error["code"] == code
    assert result.error["message"] and result.error["hint"]
    assert result.steps[-1].as_json()["hint"] == result.error["hint"]
    assert result.message.startswith(f"{step}: ")
    return result.error


@contextmanager
def _forwarded(url: str) -> Iterator[str]:
    """Forward a local TCP port to the socket of the server at ``url``; yield the URL of the port."""
    parts = urlsplit(url)
    path = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"

    class Forward(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as server:
                server.connect(path)
                back = threading.Thread(target=_pump, args=(server, self.request), daemon=True)
                back.start()
                _pump(self.request, server)
                back.join(60)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Forward) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"postgresql://postgres@127.0.0.1:{server.server_address[1]}{parts.path}"
        finally:
            server.shutdown()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def _schemas(url: str) -> list[tuple[str]]:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT nspname FROM pg_namespace ORDER BY 1").fetchall()


def test_a_working_connection_passes_every_step(database_url: str) -> None:
    result = _probe("postgresql", database_url)
    assert _steps(result) == dict.fromkeys(("secret", "url", "driver", "login", "database", "read"), True)
    assert result.ok and result.message.startswith("Works")


def test_a_working_tcp_connection_passes_every_step_and_leaves_nothing(database_url: str) -> None:
    before = _schemas(database_url)
    with _forwarded(database_url) as url:
        result = _probe("postgresql", url, write=True)
    names = ("secret", "url", "host", "port", "driver", "login", "database", "read", "write")
    assert _steps(result) == dict.fromkeys(names, True)
    assert _schemas(database_url) == before


def test_the_host_may_be_a_socket_directory_and_the_database_may_have_a_blank(database_url: str) -> None:
    server = urlsplit(database_url)
    directory = quote(parse_qs(server.query)["host"][0], safe="")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute('CREATE DATABASE "My Db"')
    try:
        result = _probe("postgresql", f"postgresql://postgres@{directory}/My%20Db")
        assert result.ok, result.message
        assert "The database My Db exists." in [step.message for step in result.steps]
    finally:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute('DROP DATABASE "My Db" WITH (FORCE)')


def test_each_step_is_reported_to_the_callback(database_url: str) -> None:
    names: list[str] = []
    parameters = ConnectionParameters(kind="postgresql", url=database_url)
    result = probe_connection(
        lambda: parameters, name="x", kind="postgresql", on_step=lambda step: names.append(step.name)
    )
    assert names == [step.name for step in result.steps]


def test_a_missing_secret_fails_the_first_step() -> None:
    def resolve() -> ConnectionParameters:
        raise SecretMissing("There is no secret DW_PW.", hint="manage.py secrets set DW_PW")

    result = probe_connection(resolve, name="target", kind="postgresql")
    _failed(result, "secret", "secret_missing")


def test_a_url_with_a_forbidden_property_opens_no_connection() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(0)
        port = server.getsockname()[1]
        error = _failed(_probe("postgresql", f"postgresql://127.0.0.1:{port}/x?options=-crole=x"), "url", "url_invalid")
        assert "options" in error["message"]
        with pytest.raises(BlockingIOError):
            server.accept()


def test_an_unknown_host_fails_the_host_step() -> None:
    error = _failed(_probe("postgresql", "jdbc:postgresql://nowhere.invalid/dw"), "host", "connection_failed")
    assert "nowhere.invalid" in error["message"] and "unknown" in error["message"]


@pytest.mark.parametrize("kind", ["postgresql", "mysql", "clickhouse"])
def test_a_closed_port_fails_the_port_step(kind: str) -> None:
    with reserved_port() as port:
        error = _failed(_probe(kind, f"jdbc:{kind}://127.0.0.1:{port}/dw"), "port", "connection_failed")
    assert str(port) in error["message"] and "nothing listens" in error["message"]


def test_a_server_that_is_not_postgresql_fails_the_login_step() -> None:
    class Hello(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"220 mail.example.com ESMTP\r\n")

    with socketserver.TCPServer(("127.0.0.1", 0), Hello) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        result = _probe("postgresql", f"jdbc:postgresql://127.0.0.1:{server.server_address[1]}/dw", username="etl")
        server.shutdown()
    assert _steps(result)["port"]
    assert "it is not a PostgreSQL server" in _failed(result, "login", "connection_failed")["message"]


def test_the_right_password_passes_the_login_step(guarded_url: str) -> None:
    assert _probe("postgresql", guarded_url, password=PASSWORD).ok


@pytest.mark.parametrize("password", ["wrong-pw-1846", ""])
def test_a_wrong_password_fails_the_login_step_and_is_not_shown(guarded_url: str, password: str) -> None:
    result = _probe("postgresql", guarded_url, password=password)
    _failed(result, "login", "authentication_failed")
    assert "wrong-pw" not in json.dumps(result.as_json()) + repr(result)


def test_an_unknown_user_fails_the_login_step(database_url: str) -> None:
    url = urlunsplit(urlsplit(database_url)._replace(netloc="nobody_here@"))
    _failed(_probe("postgresql", url), "login", "authentication_failed")


def test_a_missing_database_fails_the_database_step(database_url: str) -> None:
    url = urlunsplit(urlsplit(database_url)._replace(path="/no_such_database"))
    result = _probe("postgresql", url)
    _failed(result, "database", "database_missing")
    assert _steps(result)["login"]


def test_a_missing_socket_fails_the_login_step(tmp_path: Path) -> None:
    _failed(_probe("postgresql", str(tmp_path)), "login", "connection_failed")


def test_a_user_without_privileges_fails_the_write_step(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE without_rights LOGIN")
    try:
        url = urlunsplit(urlsplit(database_url)._replace(netloc="without_rights@"))
        assert _probe("postgresql", url).ok
        result = _probe("postgresql", url, write=True)
        _failed(result, "write", "permission_denied")
        assert _steps(result)["read"]
    finally:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("DROP ROLE without_rights")


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_missing_file_fails_the_file_step_and_is_not_created(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "none.any"
    error = _failed(_probe(kind, f"jdbc:{kind}:{path}"), "file", "database_missing")
    assert str(path) in error["message"] and not path.exists()


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_file_that_a_run_would_create_is_not_created_by_a_test(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "new.any"
    assert _probe(kind, f"jdbc:{kind}:{path}", options={"create": True}, write=True).ok
    assert list(tmp_path.iterdir()) == []
    missing = _probe(kind, f"jdbc:{kind}:{tmp_path}/no/dir/x.any", options={"create": True})
    _failed(missing, "file", "connection_failed")


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_file_that_is_not_a_database_fails_the_file_step(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "letter.db"
    path.write_text("Dear Sir or Madam, " * 500)
    result = _probe(kind, f"jdbc:{kind}:{path}")
    assert result.steps[-1].name == "file" and not result.ok
    assert path.read_text().startswith("Dear Sir")


def test_testing_a_sqlite_destination_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE kept (a)")
    connection.close()
    result = _probe("sqlite", f"jdbc:sqlite:{path}", write=True)
    assert _steps(result) == dict.fromkeys(("secret", "url", "driver", "file", "read", "write"), True)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("kept",)]
    connection.close()


def test_testing_a_duckdb_destination_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    duckdb.connect(str(path)).close()
    assert _probe("duckdb", f"jdbc:duckdb:{path}", write=True).ok
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("SELECT schema_name FROM duckdb_schemas() WHERE NOT internal").fetchall() == []
        assert connection.execute("SELECT table_name FROM duckdb_tables()").fetchall() == []


def test_a_kind_without_a_driver_fails_the_driver_step() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        result = _probe("sqlserver", f"jdbc:sqlserver://127.0.0.1:{port};databaseName=x")
    error = _failed(result, "driver", "not_supported")
    assert _steps(result)["port"] and "sqlserver" in error["message"]


def test_the_result_is_json(database_url: str) -> None:
    data = json.loads(json.dumps(_probe("postgresql", database_url).as_json()))
    assert set(data) == {"connection", "kind", "ok", "steps", "error"}
    assert data["ok"] is True and data["error"] is None
    assert {frozenset(step) for step in data["steps"]} == {frozenset({"name", "ok", "milliseconds", "message", "hint"})}

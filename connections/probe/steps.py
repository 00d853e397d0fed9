"""The steps of a connection test: which apply, in which order, and what each does."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from connections import registry
from connections.probe import health_check, network
from connections.sdk.capabilities import Cap
from connections.sdk.errors import DatabaseMissing, PermissionDenied
from connections.sdk.files.session import check_exists
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Connector, Session
from connections.sdk.schema import TableName
from connections.sdk.sql.publishing import PublishingDialect
from connections.sdk.types import DataType, Kind
from connections.url.parse import ConnectionUrl, parse_url, rebuild


@dataclass(slots=True)
class State:
    """Shared state of the steps: each sets what later ones use."""

    resolve: Callable[[], ConnectionParameters]
    parameters: ConnectionParameters = field(default_factory=lambda: ConnectionParameters(kind="", url=""))
    url: ConnectionUrl = field(default_factory=lambda: ConnectionUrl(kind=""))
    addresses: list[str] = field(default_factory=list)
    connector: Connector | None = None
    session: Session | None = None
    database_missing: DatabaseMissing | None = None

    @property
    def is_remote(self) -> bool:
        """Return whether host and port can be tested; a local server is started by the login step."""
        is_local = self.url.is_socket or registry.local_server(self.parameters.kind, self.parameters.options)
        return bool(self.url.host) and not is_local


def applicable_steps(state: State, *, write: bool) -> Iterator[tuple[str, Callable[[State], str]]]:
    """Yield the names and functions of the steps. Each step sets what later ones use, and which of them apply."""
    yield "secret", _secret
    yield "url", _url
    if state.is_remote:
        yield "host", _host
        if state.url.port_or_default:
            yield "port", _port
    yield "driver", _driver
    if health_check.is_declared(registry.manifest(state.parameters.kind), state.url):
        yield "health", _health
    if state.url.is_file and not Path(state.url.path).exists() and state.parameters.create:
        yield "file", _new_file
        return
    yield "file" if state.url.is_file else "login", _login
    if not state.url.is_file and not state.url.path:
        yield "database", _database
    yield "read", _read
    if write:
        yield "write", _write


def _secret(state: State) -> str:
    state.parameters = state.resolve()
    return "The password's reference resolves to a value." if state.parameters.password else "No password is set."


def _url(state: State) -> str:
    state.url = parse_url(state.parameters.url, state.parameters.kind)
    return rebuild(state.url)


def _host(state: State) -> str:
    state.addresses = network.resolve_host(state.url.host)
    return f"{state.url.host} is {', '.join(state.addresses)}."


def _port(state: State) -> str:
    port = cast(int, state.url.port_or_default)
    network.open_port(state.url.host, port, state.addresses)
    return f"Port {port} is open."


def _driver(state: State) -> str:
    state.connector = registry.connector(state.parameters.kind)
    return f"The {state.parameters.kind} driver is installed."


def _health(state: State) -> str:
    return health_check.request(registry.manifest(state.parameters.kind), state.url, state.parameters)


def _login(state: State) -> str:
    assert state.connector is not None
    try:
        state.session = state.connector.connect(state.parameters)
    except DatabaseMissing as error:
        if state.url.is_file:
            raise
        # the server accepted the login before it looked for the database: this is the next step's error
        state.database_missing = error
    return f"{state.url.path} is open." if state.url.is_file else "The login was accepted."


def _database(state: State) -> str:
    if state.database_missing is not None:
        raise state.database_missing
    return f"The database {state.url.database} exists." if state.url.database else "The default database exists."


def _read(state: State) -> str:
    assert state.connector is not None and state.session is not None
    state.connector.introspector.describe_query(state.session, "SELECT 1 AS one")
    state.connector.introspector.describe_table(state.session, TableName("", "pipekit_probe"))
    return "Queries and the catalogue can be read."


def _new_file(state: State) -> str:
    path = Path(state.url.path).absolute()
    check_exists(path, f"{state.parameters.name or state.parameters.kind}:", create=True)
    directory = path.parent
    if not os.access(directory, os.W_OK):
        raise PermissionDenied(
            f"{state.url.path} does not exist and cannot be created.", hint=f"Check that {directory} is writable."
        )
    return f"{state.url.path} does not exist yet; the first run creates it."


class _Rollback(Exception):
    """Raised to roll back the trial transaction."""


def _write(state: State) -> str:
    assert state.connector is not None and state.session is not None
    dialect, session = state.connector.dialect.for_connection(state.parameters), state.session
    if not isinstance(dialect, PublishingDialect) or Cap.WRITE not in state.connector.capabilities:
        raise PermissionDenied(
            f"A {dialect.name} system cannot be a destination.", hint="Choose another destination for these modules."
        )
    table = TableName(dialect.staging_schema, f"pipekit_probe_{secrets.token_hex(4)}")
    native = state.connector.datatypes.render(DataType(kind=Kind.INTEGER)).native
    statements = (
        dialect.create_schema(table.schema),
        dialect.create_table(table, [("n", native)]),
        dialect.insert_all(table, table, ("n",)),
    )
    with contextlib.suppress(_Rollback), session.transaction():
        for sql in filter(None, statements):
            session.execute(sql)
        raise _Rollback
    return f"Tables can be created and filled in {table.schema}."

"""Connection test in steps, each reported with its error and what to do. No Django; leaves nothing behind.

The steps, in order, as far as they apply: secret, url, host, port, driver, health, login (for a file: file), database,
read, write. The first one that fails ends the test.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from connections import health_check, registry
from connections.sdk.capabilities import Cap
from connections.sdk.errors import ConnectionFailed, DatabaseMissing, PermissionDenied, PipekitError, UrlInvalid
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Connector, Session
from connections.sdk.schema import TableName
from connections.sdk.sql.publishing import PublishingDialect
from connections.sdk.sql.types import DataType, Kind
from connections.secrets.redaction import redactor
from connections.url import addresses, jdbc

# seconds, for resolving the host name and for opening the port
TIMEOUT = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The result of one step. ``error`` is None or a PipekitError's ``as_dict()``."""

    name: str
    ok: bool
    milliseconds: int
    message: str
    error: dict[str, str] | None = None

    def as_json(self) -> dict[str, Any]:
        hint = self.error["hint"] if self.error else ""
        return {
            "name": self.name,
            "ok": self.ok,
            "milliseconds": self.milliseconds,
            "message": self.message,
            "hint": hint,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The steps that ran; if one failed, it is the last."""

    connection: str
    kind: str
    steps: tuple[Step, ...]

    @property
    def error(self) -> dict[str, str] | None:
        return self.steps[-1].error

    @property
    def ok(self) -> bool:
        return self.error is None

    @property
    def message(self) -> str:
        """Return one line: name and message of the failed step, or the time that the test took."""
        total = sum(step.milliseconds for step in self.steps)
        return f"{self.steps[-1].name}: {self.steps[-1].message}" if self.error else f"Works ({total} ms)."

    def as_json(self) -> dict[str, Any]:
        return {
            "connection": self.connection,
            "kind": self.kind,
            "ok": self.ok,
            "steps": [step.as_json() for step in self.steps],
            "error": self.error,
        }


@dataclass(slots=True)
class _State:
    """Shared state of the steps: each sets what later ones use."""

    resolve: Callable[[], ConnectionParameters]
    parameters: ConnectionParameters = field(default_factory=lambda: ConnectionParameters(kind="", url=""))
    url: jdbc.ConnectionUrl = field(default_factory=lambda: jdbc.ConnectionUrl(kind=""))
    addresses: list[str] = field(default_factory=list)
    connector: Connector | None = None
    session: Session | None = None
    database_missing: DatabaseMissing | None = None

    @property
    def is_remote(self) -> bool:
        """Return whether host and port can be tested; an embedded server is started by the login step."""
        return bool(self.url.host) and not self.url.host.startswith("/") and not self.parameters.options.get("embedded")


def probe(
    resolve: Callable[[], ConnectionParameters],
    *,
    name: str,
    kind: str,
    write: bool = False,
    on_step: Callable[[Step], None] = lambda step: None,
) -> Result:
    """Test the connection with the parameters that ``resolve`` returns, including secrets; ``write`` tests writing too.

    ``on_step`` is called with each step as it ends. Errors are in the result, not raised.
    """
    state = _State(resolve)
    steps: list[Step] = []
    try:
        for label, function in _steps(state, write=write):
            step = _run_step(label, function, state)
            steps.append(step)
            on_step(step)
            if not step.ok:
                break
    finally:
        if state.session is not None:
            state.session.close()
    return Result(connection=name, kind=kind, steps=tuple(steps))


def _steps(state: _State, *, write: bool) -> Iterator[tuple[str, Callable[[_State], str]]]:
    yield "secret", _secret
    yield "url", _url
    if state.is_remote:
        yield "host", _host
        if state.url.port_or_default:
            yield "port", _port
    yield "driver", _driver
    if health_check.is_declared(registry.manifest(state.parameters.kind), state.url):
        yield "health", _health
    if state.url.is_file and not Path(state.url.path).exists() and state.parameters.options.get("create"):
        yield "file", _new_file
        return
    yield "file" if state.url.is_file else "login", _login
    if not state.url.is_file and not state.url.path:
        yield "database", _database
    yield "read", _read
    if write:
        yield "write", _write


def _run_step(label: str, function: Callable[[_State], str], state: _State) -> Step:
    started = time.monotonic()
    message, error = "", None
    try:
        message = function(state)
    except PipekitError as failure:
        message, error = failure.message, failure.as_dict()
    # a server's error may repeat the password it was sent
    message = redactor().text(message)
    error = error and {name: redactor().text(text) for name, text in error.items()}
    milliseconds = round((time.monotonic() - started) * 1000)
    return Step(name=label, ok=error is None, milliseconds=milliseconds, message=message, error=error)


def _secret(state: _State) -> str:
    state.parameters = state.resolve()
    return "The password's reference resolves to a value." if state.parameters.password else "No password is set."


def _url(state: _State) -> str:
    state.url = jdbc.parse(state.parameters.url, state.parameters.kind)
    return jdbc.rebuild(state.url)


def _host(state: _State) -> str:
    host = state.url.host
    try:
        answers = _with_timeout(lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
    except TimeoutError:
        raise ConnectionFailed(
            f"The host name “{host}” could not be resolved within {TIMEOUT:.0f} s.",
            hint="Check the name in the URL, and this machine's name server.",
        ) from None
    except (socket.gaierror, UnicodeError) as error:
        raise ConnectionFailed(
            f"The host name “{host}” is unknown.",
            hint="Check its spelling in the URL, and that this machine can resolve names of that network.",
            detail=str(error),
        ) from None
    state.addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    known = [address for text in state.addresses if (address := addresses.parsed(text))]
    if any(map(addresses.is_forbidden, known)):
        raise UrlInvalid(f"“{host}” is a link-local address or a metadata service.", hint="Name a database server.")
    return f"{host} is {', '.join(state.addresses)}."


def _with_timeout(look_up: Callable[[], list[Any]]) -> list[Any]:
    # getaddrinfo takes no timeout, and its thread cannot be stopped: it ends by itself
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(look_up).result(timeout=TIMEOUT)
    finally:
        pool.shutdown(wait=False)


def _port(state: _State) -> str:
    port = cast(int, state.url.port_or_default)
    last: OSError | None = None
    for address in state.addresses:
        try:
            socket.create_connection((address, port), timeout=TIMEOUT).close()
            return f"Port {port} is open."
        except OSError as error:
            last = error
    refused = isinstance(last, ConnectionRefusedError)
    why = "nothing listens on it" if refused else "it does not answer"
    raise ConnectionFailed(
        f"Port {port} of {state.url.host} cannot be reached: {why}.",
        hint="Is the server running, and is this its port?" if refused else "Does a firewall block it?",
        detail=str(last or ""),
    )


def _driver(state: _State) -> str:
    state.connector = registry.connector(state.parameters.kind)
    return f"The {state.parameters.kind} driver is installed."


def _health(state: _State) -> str:
    return health_check.request(registry.manifest(state.parameters.kind), state.url, state.parameters)


def _login(state: _State) -> str:
    assert state.connector is not None
    try:
        state.session = state.connector.connect(state.parameters)
    except DatabaseMissing as error:
        if state.url.is_file:
            raise
        # the server accepted the login before it looked for the database: this is the next step's error
        state.database_missing = error
    return f"{state.url.path} is open." if state.url.is_file else "The login was accepted."


def _database(state: _State) -> str:
    if state.database_missing is not None:
        raise state.database_missing
    return f"The database {state.url.database} exists." if state.url.database else "The default database exists."


def _read(state: _State) -> str:
    assert state.connector is not None and state.session is not None
    state.connector.introspector.describe_query(state.session, "SELECT 1 AS one")
    state.connector.introspector.describe_table(state.session, TableName("", "pipekit_probe"))
    return "Queries and the catalogue can be read."


def _new_file(state: _State) -> str:
    directory = Path(state.url.path).absolute().parent
    if not directory.is_dir() or not os.access(directory, os.W_OK):
        raise PermissionDenied(
            f"{state.url.path} does not exist and cannot be created.", hint=f"Check that {directory} is writable."
        )
    return f"{state.url.path} does not exist yet; the first run creates it."


class _Rollback(Exception):
    """Raised to roll back the trial transaction."""


def _write(state: _State) -> str:
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

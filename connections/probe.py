"""Tests a connection step by step and says at which step, why and what to do. Knows no Django, leaves nothing behind.

Steps, in order, as far as they apply: secret, url, host, port, driver, login (for a file: file), database, read, write.
The first that fails ends the test.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from connections import registry
from connections.sdk.capabilities import Cap
from connections.sdk.errors import ConnectionFailed, DatabaseMissing, PermissionDenied, PipekitError, UrlInvalid
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Connector, Session
from connections.sdk.schema import TableName
from connections.sdk.sql.publishing import PublishingDialect
from connections.sdk.sql.types import DataType, Kind
from connections.secrets.redaction import redactor
from connections.url import addresses, jdbc

SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that was tried. ``error`` is None, or a PipekitError in its JSON form."""

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
    """The steps that were taken; the last one is the failing one, if any."""

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
        """One line for a page: the failing step's, or how long a working connection took."""
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
class _Found:
    """What the steps so far have found out; each step uses what earlier ones left here."""

    resolve: Callable[[], ConnectionParameters]
    parameters: ConnectionParameters = field(default_factory=lambda: ConnectionParameters(kind="", url=""))
    url: jdbc.ConnectionUrl = field(default_factory=lambda: jdbc.ConnectionUrl(kind=""))
    addresses: list[str] = field(default_factory=list)
    connector: Connector | None = None
    session: Session | None = None
    missing: DatabaseMissing | None = None

    @property
    def is_remote(self) -> bool:
        """Whether there is a host to look for; an embedded server is started by connecting to it."""
        return bool(self.url.host) and not self.url.host.startswith("/") and not self.parameters.options.get("embedded")


def probe(
    resolve: Callable[[], ConnectionParameters],
    *,
    name: str,
    kind: str,
    write: bool = False,
    listen: Callable[[Step], None] = lambda step: None,
) -> Result:
    """Test the connection that ``resolve`` gives (which resolves its secret); ``write`` tests a destination's rights.

    ``listen`` is called with every step as it ends. What goes wrong is in the result, not raised.
    """
    found = _Found(resolve)
    steps: list[Step] = []
    try:
        for label, act in _steps(found, write=write):
            if step := _taken(label, act, found):
                steps.append(step)
                listen(step)
                if not step.ok:
                    break
    finally:
        if found.session is not None:
            found.session.close()
    return Result(connection=name, kind=kind, steps=tuple(steps))


def _steps(found: _Found, *, write: bool) -> Iterator[tuple[str, Callable[[_Found], str]]]:
    yield "secret", _secret
    yield "url", _url
    if found.is_remote:
        yield "host", _host
        if found.url.port_or_default:
            yield "port", _port
    yield "driver", _driver
    if found.url.path and not Path(found.url.path).exists() and found.parameters.options.get("create"):
        yield "file", _new_file
        return
    yield "file" if found.url.path else "login", _login
    if not found.url.path:
        yield "database", _database
    yield "read", _read
    if write:
        yield "write", _write


def _taken(label: str, act: Callable[[_Found], str], found: _Found) -> Step:
    started = time.monotonic()
    message, error = "", None
    try:
        message = act(found)
    except PipekitError as failure:
        message, error = failure.message, failure.as_dict()
    # a server may repeat what it was sent
    message = redactor().text(message)
    error = error and {name: redactor().text(text) for name, text in error.items()}
    milliseconds = round((time.monotonic() - started) * 1000)
    return Step(name=label, ok=error is None, milliseconds=milliseconds, message=message, error=error)


def _secret(found: _Found) -> str:
    found.parameters = found.resolve()
    return "The password's reference leads to a value." if found.parameters.password else "No password is set."


def _url(found: _Found) -> str:
    found.url = jdbc.parse(found.parameters.url, found.parameters.kind)
    return jdbc.rebuild(found.url)


def _host(found: _Found) -> str:
    host = found.url.host
    try:
        answers = _within(lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
    except TooLate:
        raise ConnectionFailed(
            f"Nobody says within {SECONDS:.0f} s which machine “{host}” is.",
            hint="Check the name in the URL, and this machine's name server.",
        ) from None
    except (socket.gaierror, UnicodeError) as error:
        raise ConnectionFailed(
            f"The host name “{host}” is unknown.",
            hint="Check its spelling in the URL, and that this machine knows the network it is in.",
            detail=str(error),
        ) from None
    found.addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    known = [address for text in found.addresses if (address := addresses.parsed(text))]
    if any(map(addresses.is_forbidden, known)):
        raise UrlInvalid(f"“{host}” is a link-local address or a metadata service.", hint="Name a database server.")
    return f"{host} is {', '.join(found.addresses)}."


def _within(look_up: Callable[[], list[Any]]) -> list[Any]:
    # a look-up has no time limit of its own; one that hangs is left to end by itself
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(look_up).result(timeout=SECONDS)
    finally:
        pool.shutdown(wait=False)


def _port(found: _Found) -> str:
    port = cast(int, found.url.port_or_default)
    last: OSError | None = None
    for address in found.addresses:
        try:
            socket.create_connection((address, port), timeout=SECONDS).close()
            return f"Port {port} is open."
        except OSError as error:
            last = error
    refused = isinstance(last, ConnectionRefusedError)
    why = "nothing listens on it" if refused else "it does not answer"
    raise ConnectionFailed(
        f"Port {port} of {found.url.host} cannot be reached: {why}.",
        hint="Is the server running, and is this its port?" if refused else "Does a firewall stand between?",
        detail=str(last or ""),
    )


def _driver(found: _Found) -> str:
    found.connector = registry.connector(found.parameters.kind)
    return f"The {found.parameters.kind} driver is there."


def _login(found: _Found) -> str:
    assert found.connector is not None
    try:
        found.session = found.connector.connect(found.parameters)
    except DatabaseMissing as error:
        if found.url.path:
            raise
        # the server let the user in before it looked for the database
        found.missing = error
    return f"{found.url.path} is open." if found.url.path else "The server lets the user in."


def _database(found: _Found) -> str:
    if found.missing is not None:
        raise found.missing
    return f"The database {found.url.database} is there." if found.url.database else "The user's database is there."


def _read(found: _Found) -> str:
    assert found.connector is not None and found.session is not None
    found.connector.introspector.describe_query(found.session, "SELECT 1 AS one")
    found.connector.introspector.describe_table(found.session, TableName("", "pipekit_probe"))
    return "Queries and the catalogue can be read."


def _new_file(found: _Found) -> str:
    directory = Path(found.url.path).absolute().parent
    if not directory.is_dir() or not os.access(directory, os.W_OK):
        raise PermissionDenied(
            f"{found.url.path} is not there yet and cannot be created.", hint=f"Check that {directory} can be written."
        )
    return f"{found.url.path} is not there yet; the first run creates it."


class _Undo(Exception):
    """Takes a trial transaction back."""


def _write(found: _Found) -> str:
    assert found.connector is not None and found.session is not None
    dialect, session = found.connector.dialect.for_connection(found.parameters), found.session
    if not isinstance(dialect, PublishingDialect) or Cap.WRITE not in found.connector.capabilities:
        raise PermissionDenied(
            f"A {dialect.name} system cannot be a destination.", hint="Choose another destination for these modules."
        )
    table = TableName(dialect.staging_schema, f"pipekit_probe_{secrets.token_hex(4)}")
    native = found.connector.datatypes.render(DataType(kind=Kind.INTEGER)).native
    statements = (
        dialect.create_schema(table.schema),
        dialect.create_table(table, [("n", native)]),
        dialect.insert_all(table, table, ("n",)),
    )
    with contextlib.suppress(_Undo), session.transaction():
        for sql in filter(None, statements):
            session.execute(sql)
        raise _Undo
    return f"Tables can be created and filled in {table.schema}."

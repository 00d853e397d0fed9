"""The key of a destination table, unique among active runs: a second run of the same table is refused (see `insert`).

Names that only a resolver or the server knows to be the same (an alias in DNS, a synonym, a table without a schema
under a search_path that a role sets) have different keys. Publishes of one table exclude each other on the server, too.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
from pathlib import Path

from connections import registry
from connections.models import Connection
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableName
from connections.url.parse import ConnectionUrl, database_of, parse_url
from modules.models import Module

_MAX_KEY_LENGTH = 1000
_LOOPBACK = frozenset({"127.0.0.1", "::1"})


def dest_lock_key(module: Module) -> str:
    """Return the key of the table that the module writes now. Raises UrlInvalid."""
    return _key(module, module.dest_table_name)


def is_key_of(key: str, module: Module) -> bool:
    """Return whether a run with this key writes the module's table. Raises UrlInvalid.

    The key may be one that an earlier version stored: it has the address as the URL spells it, and the system's usual
    schema.
    """
    return is_key_of_table(key, module, module.dest_table_name)


def is_key_of_table(key: str, module: Module, table: TableName) -> bool:
    """Return whether a run with this key writes the table of the module's connection. Raises UrlInvalid."""
    if key == _key(module, table):
        return True
    connection = module.dest_connection
    kind = connection.driver.kind
    url = parse_url(connection.jdbc_url, kind=kind)
    address = url.path if url.is_file else f"{url.host}:{url.port}/{url.database or url.path}"
    schema = table.schema or registry.dialect(kind).default_schema
    return key == _shortened(f"{kind}:{address}:{schema}.{table.table}")


def table_without_url_schema(module: Module) -> TableName | None:
    """Return the table that the module would write if its connection's URL named no schema; None if it is the same.

    Earlier versions ignored such a schema. A search_path among the session settings takes precedence in all versions.
    """
    connection, table = module.dest_connection, module.dest_table_name
    session: dict[str, object] = (connection.options or {}).get("session") or {}
    if table.schema or "search_path" in session:
        return None
    kind = connection.driver.kind
    usual = registry.dialect(kind).default_schema
    url_only = ConnectionParameters(kind=kind, url=connection.jdbc_url)
    return None if registry.dialect_for(url_only).default_schema == usual else TableName(usual, table.table)


def _key(module: Module, table: TableName) -> str:
    connection = module.dest_connection
    url = parse_url(connection.jdbc_url, kind=connection.driver.kind)
    # the kind “jdbc” stands for many systems; its form is the name of the system
    system = f"{url.kind}:{url.form}" if url.kind == "jdbc" else url.kind
    parameters = ConnectionParameters(kind=url.kind, url=connection.jdbc_url, options=connection.options or {})
    name = registry.dialect_for(parameters).table_key(table)
    return _shortened(f"{system}:{_address(connection, url)}:{name}")


def _shortened(key: str) -> str:
    # longer keys do not fit into the column
    return key if len(key) <= _MAX_KEY_LENGTH else f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def _address(connection: Connection, url: ConnectionUrl) -> str:
    """Return server and database, or the file."""
    if url.is_file:
        return os.path.realpath(url.path)
    database = database_of(url)
    if server := registry.local_server(connection.driver.kind, connection.options):
        # the URL only names the database
        return f"{os.path.realpath(Path(server.directory).expanduser())}:{url.default_port}/{database}"
    if url.is_socket:
        return f"{os.path.realpath(url.host)}:{url.port or url.default_port}/{database}"
    # a port takes precedence over the name of an instance
    instance = "" if url.port or not url.instance else f"\\{url.instance.lower()}"
    return f"{_host(url)}{instance}:{url.port_or_default}/{database}"


def _host(url: ConnectionUrl) -> str:
    host = url.canonical_host
    if ":" in host and (mapped := ipaddress.IPv6Address(host).ipv4_mapped):
        host = str(mapped)
    return "localhost" if host in _LOOPBACK else host

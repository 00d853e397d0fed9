"""URLs of MySQL and MariaDB, with a percent-encoded database name; ``form`` is the system that the prefix names."""

from __future__ import annotations

from dataclasses import replace

from connections.url import parts
from connections.url.parts import ConnectionUrl
from connections.url.syntaxes import read_network, write_network


def read(rest: str, prefix: str) -> ConnectionUrl:
    url = read_network(rest, "mysql", database=parts.decoded_database)
    return replace(url, form="mariadb" if "mariadb" in prefix else "mysql")


def write(url: ConnectionUrl) -> str:
    return write_network(url, f"jdbc:{url.form}")

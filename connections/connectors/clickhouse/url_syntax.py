"""URLs of ClickHouse, which may name the protocol after the prefix: ``jdbc:clickhouse:https://host``."""

from __future__ import annotations

import re
from dataclasses import replace

from connections.url.parts import ConnectionUrl
from connections.url.syntaxes import read_network, write_network

_HTTPS_PORT = 8443


def read(rest: str, prefix: str) -> ConnectionUrl:
    match = re.match(r"(https?):(?=//)", rest)
    url = read_network(rest[match.end() :] if match else rest, "clickhouse")
    form = match[1] if match else ""
    return replace(url, form=form, default_port=_HTTPS_PORT if form == "https" else None)


def write(url: ConnectionUrl) -> str:
    return write_network(url, f"jdbc:clickhouse:{url.form}" if url.form else "jdbc:clickhouse")

"""Fixtures of the tests of jrunner."""

from __future__ import annotations

import sys

import pytest

from connections.connectors.postgresql.copy import reader
from tests.harness.small_databases import System, postgresql


@pytest.fixture(scope="module")
def warehouse(postgresql_server: str) -> System:
    """Return the test server, with types of its own: an enumeration, a composite type and a domain."""
    system = postgresql(postgresql_server)
    system.execute(
        "DROP TABLE IF EXISTS s, t",
        "DROP TYPE IF EXISTS mood, pair CASCADE",
        "DROP DOMAIN IF EXISTS percentage CASCADE",
        "CREATE TYPE mood AS ENUM ('sad', 'ok')",
        "CREATE TYPE pair AS (a integer, b text)",
        "CREATE DOMAIN percentage AS integer CHECK (VALUE BETWEEN 0 AND 100)",
    )
    return system


@pytest.fixture(params=["ADBC", "binary COPY"])
def method(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make the reader of PostgreSQL use each of its methods, whatever the number of values."""
    name: str = request.param
    monkeypatch.setattr(reader, "MANY_VALUES", sys.maxsize if name == "ADBC" else 0)
    return name

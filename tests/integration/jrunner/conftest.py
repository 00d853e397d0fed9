"""Fixtures of the tests of jrunner."""

from __future__ import annotations

import pytest

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

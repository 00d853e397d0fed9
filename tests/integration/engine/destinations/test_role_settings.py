"""Settings of the database role do not change the values of the rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from connections.sdk.parameters import ConnectionParameters
from runs.engine.plan import Strategy
from tests.harness.bench import Bench, fetch

pytestmark = pytest.mark.matrix

SETTINGS = {
    "DateStyle": "German, DMY",
    "TimeZone": "Asia/Kolkata",
    "IntervalStyle": "iso_8601",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "standard_conforming_strings": "off",
    "client_encoding": "LATIN1",
    "array_nulls": "off",
    "xmloption": "document",
    "quote_all_identifiers": "on",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "transform_null_equals": "on",
    "idle_in_transaction_session_timeout": "60s",
}
COLUMNS = (
    "k int, ts timestamp, tz timestamptz, iv interval, raw bytea, t text, "
    "r real, d float8, a int[], ta text[], num numeric"
)
ROWS = (
    "(1, '2020-02-01 10:00:00.123456', '2020-02-01 10:00:00.123456+02', '1 mon 2 days 03:04:05.000006', '\\x00ff5c', "
    "'a\\b''c é', 0.1, 1e-300, '{1,NULL}', '{NULL,\"NULL\"}', 1.10)",
    "(2, '0044-03-15 BC', '2020-02-02', '-1 mon', '', '', 0.3, 0.1, '{}', '{}', NULL)",
)


@pytest.fixture
def odd_role(postgresql_server: str) -> Iterator[str]:
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute("CREATE ROLE odd LOGIN SUPERUSER")
        for name, value in SETTINGS.items():
            connection.execute(f"ALTER ROLE odd SET {name} TO {value if ', ' in value else repr(value)}")
    yield "odd"
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute("DROP ROLE odd")


def _as(role: str, parameters: ConnectionParameters) -> ConnectionParameters:
    parts = urlsplit(parameters.url)
    netloc = parts.netloc.rpartition("@")[2]
    return replace(parameters, url=urlunsplit(parts._replace(netloc=f"{role}@{netloc}")))


@pytest.fixture
def odd(pg_bench: Bench, odd_role: str) -> Iterator[Bench]:
    pg_bench.at_source(f"CREATE TABLE s ({COLUMNS})", *(f"INSERT INTO s VALUES {row}" for row in ROWS))
    source, destination = pg_bench.source, pg_bench.destination
    yield Bench(_as(odd_role, source), _as(odd_role, destination))
    for parameters in (source, destination):
        Bench(parameters, parameters).at_source(f"DROP OWNED BY {odd_role} CASCADE")


def _rows(parameters: ConnectionParameters, table: str) -> list[tuple[object, ...]]:
    return fetch(replace(parameters, url=parameters.url.replace("odd@", "postgres@")), f"SELECT x::text FROM {table} x")


@pytest.mark.parametrize("k", ["int", "smallint"])
def test_the_settings_of_a_role_change_no_value(odd: Bench, k: str) -> None:
    """With a smallint key in the destination, the rows are not copied by the raw route."""
    odd.at_destination("CREATE SCHEMA sync", f"CREATE TABLE sync.t ({COLUMNS.replace('k int', f'k {k}')})")
    plan = odd.plan("SELECT * FROM s", strategy=Strategy.UPSERT, merge_key=("k",), watermark="tz")
    assert odd.run(plan).counts == (2, 0, 0)
    assert odd.run(plan).counts == (0, 1, 0)
    assert sorted(_rows(odd.destination, "sync.t")) == sorted(_rows(odd.source, "s"))

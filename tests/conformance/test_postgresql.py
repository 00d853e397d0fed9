"""The conformance suite for PostgreSQL."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

import pytest

from connections.connectors.postgresql.copy import reader
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.testing.case import ConnectorUnderTest, TypedValues, declared
from connections.sdk.testing.reading import ReadingTests
from connections.sdk.testing.suite import DestinationSuite, ServerTests, SharedHashingTests, SnapshotTests
from tests.servers.ports import reserved_port

# by default the suite runs for SQLite only
pytestmark = pytest.mark.matrix
# 400 years, which always have 146,097 days, before a date that Python supports; as days since 1970
_MARCH_15_44_BC = (dt.date(357, 3, 15) - dt.date(1970, 1, 1)).days - 146_097
OWN_TYPES = (
    TypedValues(
        native="numeric",
        values={"1e-30": f"0.{'0' * 29}1", "1e40": f"1{'0' * 40}", "1.50": "1.50", "'NaN'": "NaN"},
    ),
    TypedValues(native="varchar(5)", values={"''": "", "' a '": " a "}),
    TypedValues(
        native="date", values={"'infinity'": 2**31 - 1, "'-infinity'": -(2**31) + 1, "'0044-03-15 BC'": _MARCH_15_44_BC}
    ),
    TypedValues(native="timestamp", values={"'infinity'": 2**63 - 1, "'-infinity'": -(2**63) + 1}),
    TypedValues(
        native="timestamptz",
        values={
            "'1970-01-01 00:00+05:30'": dt.datetime(1969, 12, 31, 18, 30, tzinfo=dt.UTC),
            "'infinity'": 2**63 - 1,
        },
    ),
    TypedValues(native="interval", values={"'1 year 2 days 03:04:05.000006'": "1 year 2 days 03:04:05.000006"}),
    TypedValues(native="int[]", values={"'{1,NULL,3}'": "{1,NULL,3}", "'{{1,2},{3,4}}'": "{{1,2},{3,4}}"}),
    TypedValues(native="text[]", values={"""'{"x y","",NULL,"NULL"}'""": '{"x y","",NULL,"NULL"}'}),
    TypedValues(native="int4range", values={"'[1,5)'": "[1,5)", "'empty'": "empty"}),
    # as in a cast to text, which always includes the prefix length
    TypedValues(native="inet", values={"'10.0.0.1/8'": "10.0.0.1/8", "'::1'": "::1/128"}),
    TypedValues(native="jsonb", values={"""'{"b": 1, "a" : [1,2]}'""": '{"a": [1, 2], "b": 1}'}),
    TypedValues(native="json", values={"""'{"b": 1, "a" : [1,2]}'""": '{"b": 1, "a" : [1,2]}'}),
)


class Server:
    @pytest.fixture
    def connector_under_test(self, request: pytest.FixtureRequest, database_url: str) -> Iterator[ConnectorUnderTest]:
        parameters = ConnectionParameters(kind="postgresql", url=database_url, name="warehouse")
        wrong_password = None
        if "password" in request.node.name:
            wrong_password = replace(parameters, url=request.getfixturevalue("guarded_url"))
        with reserved_port() as port:
            yield ConnectorUnderTest(
                parameters=parameters,
                disposable=True,
                refused=replace(parameters, url=f"jdbc:postgresql://127.0.0.1:{port}/x"),
                wrong_password=wrong_password,
                missing_database=replace(parameters, url=urlunsplit(urlsplit(database_url)._replace(path="/missing"))),
                own_types=OWN_TYPES,
                **declared("postgresql"),
            )


class TestPostgresql(Server, DestinationSuite, ServerTests, SnapshotTests, SharedHashingTests):
    """With ADBC, as few values are read."""


class TestManyValues(Server, ReadingTests, SnapshotTests):
    """The values that are decoded here."""

    @pytest.fixture(autouse=True)
    def decoded_here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reader, "MANY_VALUES", 0)

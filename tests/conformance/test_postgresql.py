"""The conformance suite for PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

import pytest

from connections.sdk.parameters import ConnectionParameters
from connections.sdk.testing.case import ConnectorUnderTest
from connections.sdk.testing.suite import DestinationSuite, ServerTests, SharedHashingTests, SnapshotTests
from tests.servers.ports import reserved_port


class TestPostgresql(DestinationSuite, ServerTests, SnapshotTests, SharedHashingTests):
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
                # text cannot hold it
                lacks=frozenset({"nul"}),
            )

"""The suite for the connector of the command line, without the tests of what it does not support."""

from __future__ import annotations

import pytest

from connections.sdk.capabilities import Cap
from connections.sdk.testing.case import ConnectorUnderTest
from connections.sdk.testing.connecting import ReadErrorTests
from connections.sdk.testing.publishing import PublishingTests
from connections.sdk.testing.reading import ReadingTests, SnapshotTests
from connections.sdk.testing.suite import ConnectorSuite, ServerTests, SharedHashingTests
from connections.sdk.testing.writing import WritingTests


class TestConnector(ConnectorSuite, ServerTests):
    """Sessions and catalogue."""


class TestSource(ReadErrorTests, ReadingTests, SnapshotTests, SharedHashingTests):
    """Reading."""

    @pytest.fixture(autouse=True)
    def _reads(self, connector_under_test: ConnectorUnderTest) -> None:
        if Cap.READ not in connector_under_test.connector.capabilities:
            pytest.skip("The connector does not read.")


class TestDestination(WritingTests, PublishingTests):
    """Writing and publishing."""

    @pytest.fixture(autouse=True)
    def _writes(self, connector_under_test: ConnectorUnderTest) -> None:
        if Cap.WRITE not in connector_under_test.connector.capabilities:
            pytest.skip("The connector does not write.")

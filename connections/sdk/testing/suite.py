"""The suite as classes from which a connector's test class is composed."""

from __future__ import annotations

from connections.sdk.testing.catalogue import CatalogueTests, NameTests
from connections.sdk.testing.connecting import (
    ConnectionTests,
    DeclarationTests,
    MissingDatabaseTests,
    ReadErrorTests,
    ServerTests,
)
from connections.sdk.testing.hashing import SharedHashingTests
from connections.sdk.testing.publishing import PublishingTests
from connections.sdk.testing.reading import ReadingTests, SnapshotTests
from connections.sdk.testing.sessions import CancelTests, ReadOnlyTests, SessionTests
from connections.sdk.testing.writing import WritingTests

__all__ = ["ConnectorSuite", "DestinationSuite", "ServerTests", "SharedHashingTests", "SnapshotTests", "SourceSuite"]


class ConnectorSuite(
    DeclarationTests,
    ConnectionTests,
    MissingDatabaseTests,
    SessionTests,
    ReadOnlyTests,
    CancelTests,
    CatalogueTests,
    NameTests,
):
    """What every connector of a SQL system must hold."""


class SourceSuite(ConnectorSuite, ReadErrorTests, ReadingTests):
    """For connectors that read."""


class DestinationSuite(SourceSuite, WritingTests, PublishingTests):
    """For connectors that read and write."""

"""The conformance suite for SQLite."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from connections.sdk.parameters import ConnectionParameters
from connections.sdk.testing.case import ConnectorUnderTest
from connections.sdk.testing.suite import DestinationSuite


class TestSqlite(DestinationSuite):
    @pytest.fixture
    def connector_under_test(self, tmp_path: Path) -> ConnectorUnderTest:
        url = f"jdbc:sqlite:{tmp_path / 'conformance.db'}"
        parameters = ConnectionParameters(kind="sqlite", url=url, options={"create": True}, name="erp")
        return ConnectorUnderTest(
            parameters=parameters,
            disposable=True,
            missing_database=replace(parameters, url=f"jdbc:sqlite:{tmp_path / 'missing.db'}", options={}),
            # NaN is stored as NULL, and -0.0 as 0
            lacks=frozenset({"nan", "signed_zero"}),
            case_sensitive=False,
            known_gaps={
                "test_close_from_another_thread_stops_a_read": "ADBC cannot interrupt SQLite; its process is ended."
            },
        )

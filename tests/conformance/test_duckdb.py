"""The conformance suite for DuckDB."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from connections.sdk.parameters import ConnectionParameters
from connections.sdk.testing.case import ConnectorUnderTest
from connections.sdk.testing.suite import DestinationSuite


class TestDuckdb(DestinationSuite):
    @pytest.fixture
    def connector_under_test(self, tmp_path: Path) -> ConnectorUnderTest:
        url = f"jdbc:duckdb:{tmp_path / 'conformance.duckdb'}"
        parameters = ConnectionParameters(kind="duckdb", url=url, options={"create": True}, name="lake")
        return ConnectorUnderTest(
            parameters=parameters,
            disposable=True,
            missing_database=replace(parameters, url=f"jdbc:duckdb:{tmp_path / 'missing.duckdb'}", options={}),
            case_sensitive=False,
        )

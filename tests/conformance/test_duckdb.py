"""The conformance suite for DuckDB."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from connections.sdk.parameters import ConnectionParameters
from connections.sdk.testing.case import ConnectorUnderTest, TypedValues, declared
from connections.sdk.testing.suite import DestinationSuite

# by default the suite runs for SQLite only
pytestmark = pytest.mark.matrix
# 400 years, which always have 146,097 days, before a date that Python supports; as days since 1970
_MARCH_15_44_BC = (dt.date(357, 3, 15) - dt.date(1970, 1, 1)).days - 146_097
OWN_TYPES = (
    TypedValues(native="TINYINT", values={"-128": -128, "127": 127}),
    TypedValues(native="UBIGINT", values={"18446744073709551615": Decimal(2**64 - 1)}),
    TypedValues(native="HUGEINT", values={str(-(2**127)): str(-(2**127)), str(2**127 - 1): str(2**127 - 1)}),
    TypedValues(
        native="DATE",
        values={"'infinity'": 2**31 - 1, "'-infinity'": -(2**31) + 1, "'0044-03-15 (BC)'": _MARCH_15_44_BC},
    ),
    TypedValues(native="TIMESTAMP", values={"'infinity'": 2**63 - 1, "'-infinity'": -(2**63) + 1}),
    TypedValues(native="TIMESTAMP_S", values={"'2020-01-01 10:00:00'": dt.datetime(2020, 1, 1, 10)}),
    TypedValues(
        native="TIMESTAMP_NS",
        values={"'2020-01-01 10:00:00.123456'": dt.datetime(2020, 1, 1, 10, 0, 0, 123_456)},
    ),
    TypedValues(native="INTERVAL", values={"INTERVAL '1 month 2 days 3.5 seconds'": "1 month 2 days 00:00:03.5"}),
    TypedValues(native="INTEGER[]", values={"[1, NULL, 3]": "[1, NULL, 3]", "[]": "[]"}),
    TypedValues(native="STRUCT(a INTEGER, b VARCHAR)", values={"{'a': 1, 'b': 'x'}": "{'a': 1, 'b': x}"}),
    TypedValues(native="ENUM('a', 'b''c')", values={"'b''c'": "b'c"}),
    TypedValues(native="BIT", values={"'10101'": "10101"}),
)


class TestDuckdb(DestinationSuite):
    @pytest.fixture
    def connector_under_test(self, tmp_path: Path) -> ConnectorUnderTest:
        url = f"jdbc:duckdb:{tmp_path / 'conformance.duckdb'}"
        parameters = ConnectionParameters(kind="duckdb", url=url, options={"create": True}, name="lake")
        return ConnectorUnderTest(
            parameters=parameters,
            disposable=True,
            missing_database=replace(parameters, url=f"jdbc:duckdb:{tmp_path / 'missing.duckdb'}", options={}),
            own_types=OWN_TYPES,
            **declared("duckdb"),
        )

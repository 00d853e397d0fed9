"""The conformance suite for SQLite."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from connections.connectors.sqlite.compiled.cursor import load_modules
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.testing.case import ConnectorUnderTest, TypedValues, declared
from connections.sdk.testing.suite import DestinationSuite

OWN_TYPES = (
    # numbers of each storage class in one column
    TypedValues(
        native="DECIMAL(10,2)", values={"5": Decimal("5.00"), "12.3": Decimal("12.30"), "'0.1'": Decimal("0.10")}
    ),
    TypedValues(native="INTEGER", values={"9223372036854775807": 2**63 - 1, "'17'": 17, "3.0": 3}),
    TypedValues(native="BOOLEAN", values={"1": True, "0": False}),
    TypedValues(native="TEXT", values={"'a' || char(0) || 'b'": "a\0b", "'007'": "007", "1.50": "1.5"}),
    TypedValues(
        native="TIMESTAMP",
        values={
            "'2020-01-31T10:00:00.5'": dt.datetime(2020, 1, 31, 10, 0, 0, 500_000),
            "'2020-01-31 10:00'": dt.datetime(2020, 1, 31, 10),
        },
    ),
    TypedValues(
        native="TIMESTAMPTZ",
        values={"'2020-01-31 10:00:00+02:00'": dt.datetime(2020, 1, 31, 8, tzinfo=dt.UTC)},
    ),
)


class TestSqlite(DestinationSuite):
    @pytest.fixture
    def connector_under_test(self, tmp_path: Path) -> ConnectorUnderTest:
        url = f"jdbc:sqlite:{tmp_path / 'conformance.db'}"
        parameters = ConnectionParameters(kind="sqlite", url=url, options={"create": True}, name="erp")
        described = declared("sqlite")
        if load_modules():
            # the gap of installations without compiled modules
            described["known_gaps"] = {}
        return ConnectorUnderTest(
            parameters=parameters,
            disposable=True,
            missing_database=replace(parameters, url=f"jdbc:sqlite:{tmp_path / 'missing.db'}", options={}),
            own_types=OWN_TYPES,
            **described,
        )

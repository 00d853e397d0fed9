"""Tests of row hashes: the system computes the same as a second implementation of their description."""

from __future__ import annotations

import datetime as dt
import hashlib
import struct
from collections.abc import Sequence
from decimal import Context, Decimal
from typing import Any

import pytest

from connections import registry
from connections.sdk.schema import Column
from connections.sdk.sql.row_hash import NotHashed
from connections.sdk.testing.fixtures import Fixtures
from connections.sdk.testing.values import SAMPLES
from connections.sdk.testing.workbench import Workbench
from connections.sdk.types import DataType, Kind

_EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


def shared_hash(values: Sequence[Any], columns: Sequence[Column]) -> int:
    """Return the hash of one row as `connections.sdk.sql.row_hash` describes it."""
    pairs = [_item(value, column.data_type) for value, column in zip(values, columns, strict=True)]
    text = f"({','.join(item for item, _ in pairs)}){''.join(text for _, text in pairs)}"
    return int(hashlib.md5(text.encode()).hexdigest()[:16], 16) >> 1


def _item(value: Any, data_type: DataType) -> tuple[str, str]:
    """Return the item of a value, and its text."""
    kind = data_type.kind
    if value is None:
        return "", ""
    if kind in (Kind.TEXT, Kind.UUID):
        text = value.replace("-", "") if kind is Kind.UUID else value.rstrip(" ") if data_type.fixed else value
        return str(len(text.encode())), text
    if kind is Kind.BOOLEAN:
        return ("t" if value else "f"), ""
    if kind is Kind.BINARY:
        return hashlib.md5(value).hexdigest(), ""
    if kind is Kind.DECIMAL:
        return str(int(Decimal(value).scaleb(data_type.scale or 0, Context(prec=100)))), ""
    if kind is Kind.DATE:
        return str((value - dt.date(1970, 1, 1)).days), ""
    if kind is Kind.TIME:
        return _hexadecimal((dt.datetime.combine(dt.date.min, value) - dt.datetime.min) // _MICROSECOND), ""
    if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
        when = value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value
        return _hexadecimal((when - _EPOCH) // _MICROSECOND), ""
    if kind in (Kind.REAL, Kind.DOUBLE):
        form = ">f" if kind is Kind.REAL else ">d"
        number = float("nan") if value != value else value
        return struct.pack(form, number).hex(), ""
    return str(value), ""


def _hexadecimal(count: int) -> str:
    return f"{count & (2**64 - 1):016x}"


class SharedHashingTests(Fixtures):
    """For systems that compute the hash that all systems share."""

    def test_hashes_match_those_computed_by_the_client(self, bench: Workbench) -> None:
        hashing = registry.shared_hashing(bench.parameters.kind)
        if hashing is None:
            pytest.skip("The connector computes no hashes.")
        table, values = bench.samples(), bench.sample_values()
        columns = bench.columns(table)
        name = bench.dialect.qualified(table)
        query = bench.select(table)
        with bench.session() as session:
            for sample, some, column in zip(SAMPLES, values, columns[1:], strict=True):
                pair = (columns[0], column)
                quoted = bench.dialect.quote(column.dest_name)
                narrow = f"SELECT n, {quoted} FROM {name}"
                destination = hashing.destination(session, table, pair)
                source = hashing.source(session, narrow, dict(enumerate(pair)), signed_zero=True)
                if sample.data_type.kind is Kind.JSON:
                    # its texts differ for equal values
                    assert isinstance(destination, NotHashed) and isinstance(source, NotHashed)
                    continue
                assert not isinstance(destination, NotHashed), destination
                assert not isinstance(source, NotHashed), source
                found = session.fetch(f"SELECT {hashing.row_hash(destination)} FROM ({query}) q ORDER BY q.n")
                named = f"(SELECT n AS c0, {quoted} AS c1 FROM {name}) q"
                at_source = session.fetch(f"SELECT {hashing.row_hash(source)} FROM {named} ORDER BY q.c0")
                expected = [shared_hash((n, value), pair) for n, value in enumerate(some)]
                assert [int(number) for (number,) in found] == expected, sample
                assert [int(number) for (number,) in at_source] == expected, sample
                assert len(set(expected)) == len(some)

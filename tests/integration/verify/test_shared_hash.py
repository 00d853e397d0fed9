"""The hash shared by a server and Pipekit is the same on both sides, and differs for all values of a type."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pyarrow as pa
import pytest

from connections import registry
from connections.connectors.postgresql import shared_hashing
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import Column
from connections.sdk.sql.row_hash import NotHashed
from connections.sdk.types import DataType, Kind
from runs.engine.segments import HashGrid, Segment
from runs.engine.verify.server_side import ServerSide
from runs.engine.verify.shared_hash import item
from runs.engine.verify.side import ComparisonSpec, Side
from runs.engine.verify.streamed_side import StreamedSide
from tests.harness.bench import Bench

QUERY = "SELECT id, v FROM s"
_TEXTS = (
    "''", "' '", "'  '", "'a'", "'A'", "'a '", "' a'", "E'a\\t'", "E'\\n'", "E'\\r\\n'", "'é'", "E'e\\u0301'", "'😀'",
    "'😀😁'", "E'\\u0001\\u001f\\u007f'", "'1'", "'1:a'", "'(1,)'", "','", "')'", "'\"'", "E'\\\\'", "'NULL'", "'0'",
    "'\u00a0'", "'\u2028'", "repeat('long ', 5000)",
)  # fmt: skip
_NUMBERS = (
    "0", "1", "-1", "0.1", "-0.1", "0.01", "-0.01", "0.0000000001", "10", "100", "1e20", "1.0000000001",
    "9999999999999999999999999999.9999999999", "-9999999999999999999999999999.9999999999",
    "1234567890123456789012345678.9012345678", "184467440737095516.16", "4294967297",
)  # fmt: skip
_SPECIAL = ("'NaN'", "'Infinity'", "'-Infinity'")
_INTEGERS = ("0", "1", "-1", "10", "32767", "-32768")
_WIDER = (*_INTEGERS, "65537", "2147483647", "-2147483648")
_WIDEST = (*_WIDER, "4294967297", "9223372036854775807", "-9223372036854775808", "-9223372036854775807")
_TIMESTAMPS = (
    "'1970-01-01'", "'1970-01-01 00:00:00.000001'", "'1969-12-31 23:59:59.999999'", "'2000-01-01'", "'infinity'",
    "'1999-12-31 23:59:59.999999'", "'2000-01-01 00:00:00.000001'", "'0001-01-01'", "'0001-12-31 BC'", "'-infinity'",
    "'4713-11-24 00:00:00 BC'", "'9999-12-31 23:59:59.999999'", "'10000-01-01'", "'294246-12-31 23:59:59.999999'",
    "'2026-03-29 01:30:00'", "'2026-03-29 02:30:00'",
)  # fmt: skip
_DATES = (
    "'1970-01-01'", "'1969-12-31'", "'2000-01-01'", "'0001-01-01'", "'0001-12-31 BC'", "'4713-11-24 BC'",
    "'9999-12-31'", "'10000-01-01'", "'5874897-12-31'", "'infinity'", "'-infinity'",
)  # fmt: skip
_TIMES = ("'00:00'", "'00:00:00.000001'", "'12:00'", "'23:59:59.999999'", "'24:00'", "'01:11:34.967297'")
_DOUBLES = (
    "0", "'-0'", "1", "-1", "0.1", "0.10000000000000002", "5e-324", "-5e-324", "1.7976931348623157e308", "1e20",
    "2.2250738585072014e-308", "'NaN'", "'Infinity'", "'-Infinity'", "9007199254740993", "4294967297",
)  # fmt: skip
_REALS = ("0", "'-0'", "1", "-1", "0.1", "1.1000001", "1e-45", "3.4028235e38", "'NaN'", "'Infinity'", "'-Infinity'")
_BYTES = (
    "''", "'\\x00'", "'\\x0000'", "'\\xff'", "'\\x61'", "'\\x5c'",
    "(SELECT string_agg(decode(lpad(to_hex(i), 2, '0'), 'hex'), '' ORDER BY i) FROM generate_series(0, 255) i)",
)  # fmt: skip
_UUIDS = tuple(f"'{first}0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1{last}'" for first in "0f" for last in "01f")
# PostgreSQL's type, the other system and its type, values
_MATRIX = (
    ("smallint", "duckdb", "SMALLINT", _INTEGERS),
    ("smallint", "sqlite", "INTEGER", _INTEGERS),
    ("integer", "duckdb", "INTEGER", _WIDER),
    ("integer", "duckdb", "DECIMAL(14,4)", _WIDER),
    ("bigint", "duckdb", "BIGINT", _WIDEST),
    ("bigint", "duckdb", "HUGEINT", _WIDEST),
    ("bigint", "sqlite", "NUMERIC", _WIDEST),
    ("bigint", "duckdb", "DECIMAL(38,10)", _WIDEST),
    ("bigint", "sqlite", "TEXT", _WIDEST),
    ("numeric(38,10)", "duckdb", "DECIMAL(38,10)", _NUMBERS),
    ("numeric(38,10)", "postgresql", "numeric(38,10)", _NUMBERS),
    ("numeric(38,10)", "sqlite", "TEXT", (*_NUMBERS, "'NaN'")),
    ("numeric(9,2)", "duckdb", "DECIMAL(18,4)", ("0", "0.01", "-0.01", "1.5", "1", "10", "9999999.99")),
    ("numeric(18,0)", "duckdb", "DECIMAL(18,0)", ("0", "1", "-1", "10", "100", "999999999999999999")),
    ("numeric(20,20)", "duckdb", "DECIMAL(38,20)", ("0", "0.00000000000000000001", "-0.1", "0.1")),
    ("numeric(50,10)", "postgresql", "numeric(50,10)", (*_NUMBERS, "1e39", "'NaN'")),
    ("numeric", "postgresql", "numeric", (*_NUMBERS, *_SPECIAL, "1e-30", "1e300", "1e-300", "12e10000")),
    ("numeric", "sqlite", "NUMERIC", (*_NUMBERS, *_SPECIAL, "1e-30")),
    ("numeric", "sqlite", "TEXT", (*_NUMBERS, *_SPECIAL, "1.50", "1.5")),
    ("boolean", "duckdb", "BOOLEAN", ("true", "false")),
    ("boolean", "sqlite", "TEXT", ("true", "false")),
    ("text", "duckdb", "VARCHAR", _TEXTS),
    ("varchar(40000)", "sqlite", "TEXT", _TEXTS),
    ("varchar", "sqlite", "CHAR(9)", ("''", "'a'", "' a'", "E'a\\t'", "'é'", "'\u00a0'")),
    ("char(9)", "postgresql", "char(9)", ("''", "'a'", "' a'", "E'a\\t'", "'é'", "'\u00a0'")),
    ("char(9)", "duckdb", "VARCHAR", ("''", "'a'", "' a'", "E'a\\t'", "'é'", "'\u00a0'")),
    ("bpchar", "duckdb", "VARCHAR", _TEXTS),
    ("name", "duckdb", "VARCHAR", ("''", "'a'", "'é'")),
    ("date", "duckdb", "DATE", _DATES),
    ("date", "sqlite", "TEXT", _DATES),
    ("time", "duckdb", "TIME", _TIMES),
    ("timestamp", "duckdb", "TIMESTAMP", _TIMESTAMPS),
    ("timestamp", "postgresql", "timestamp(6)", _TIMESTAMPS),
    ("timestamptz", "duckdb", "TIMESTAMPTZ", _TIMESTAMPS),
    ("timestamptz", "sqlite", "TEXT", _TIMESTAMPS),
    ("double precision", "duckdb", "DOUBLE", _DOUBLES),
    ("double precision", "sqlite", "TEXT", _DOUBLES),
    ("real", "duckdb", "FLOAT", _REALS),
    ("real", "sqlite", "DOUBLE", _REALS),
    ("bytea", "sqlite", "BLOB", _BYTES),
    ("uuid", "duckdb", "UUID", _UUIDS),
    ("uuid", "sqlite", "TEXT", _UUIDS),
    ("money", "duckdb", "VARCHAR", ("0", "1.5", "-1.5")),
    ("jsonb", "duckdb", "VARCHAR", ("'1'", "'{\"a\": 1}'", "'\"😀\"'")),
    ("int[]", "duckdb", "VARCHAR", ("'{}'", "'{1,NULL}'", "'{1}'")),
)  # fmt: skip


def columns_of(kind: str, native: str) -> tuple[Column, Column]:
    parse = registry.datatypes(kind).parse
    return tuple(  # type: ignore[return-value]
        Column(dest_name=name, dest_type=declared, source_name=name, data_type=parse(declared))
        for name, declared in (("id", "INTEGER"), ("v", native))
    )


def both_sides(parameters: ConnectionParameters, kind: str, native: str, *, signed_zero: bool = True) -> Iterator[Side]:
    """Yield the table `s` hashed by the server, then read and hashed by Pipekit."""
    columns = columns_of(kind, native)
    spec = ComparisonSpec(columns=columns, key=(1,), signed_zero=signed_zero)
    with ExitStack() as stack:
        session = registry.connector("postgresql").connect(parameters)
        stack.callback(session.close)
        hashed = shared_hashing.source(session, QUERY, dict(enumerate(columns)), signed_zero=signed_zero)  # type: ignore[arg-type]
        assert not isinstance(hashed, NotHashed), hashed
        yield ServerSide(
            session,
            parameters,
            relation=f"({QUERY}) AS q(c0, c1)",
            condition="",
            columns=hashed,
            spec=spec,
            row_hash=shared_hashing.row_hash,
        )
        streamed = StreamedSide(
            parameters,
            query=lambda segment: QUERY,
            read=columns,
            spec=spec,
            strip_nul_bytes=False,
            shared=True,
        )
        stack.callback(streamed.close)
        yield streamed


def hashes(side: Side) -> set[tuple[int, int]]:
    """Return the hash of the value and the hash of the row, for each row."""
    whole = Segment(), HashGrid(count=1)
    rows = [row for batch in side.hashes(*whole) for row in batch.to_pylist()]
    assert side.digest(*whole)[0].checksum == sum(row["row_hash"] for row in rows)
    return {(row["key_hash"], row["row_hash"]) for row in rows}


@pytest.mark.matrix
@pytest.mark.parametrize(("native", "kind", "declared", "values"), _MATRIX)
def test_server_and_pipekit_compute_the_same_hash_and_a_different_one_for_each_value(
    pg_bench: Bench, native: str, kind: str, declared: str, values: tuple[str, ...]
) -> None:
    _fill(pg_bench, native, values)
    server, streamed = map(hashes, both_sides(pg_bench.source, kind, declared))
    assert server == streamed
    # there is one more row, with NULL
    assert len({value for value, _ in server}) == len(server) == len(values) + 1


def test_timestamps_out_of_postgresql_s_range_have_hashes_of_their_own() -> None:
    values = [2**63 - 1, -(2**63) + 1, 2**63 - 2, -(2**63) + 2, -211_810_204_800_000_000, 0, None]
    timestamps = pa.array(values, pa.int64()).cast(pa.timestamp("us"))
    hash_items = item(timestamps, DataType(kind=Kind.TIMESTAMP)).to_pylist()
    assert hash_items[:2] == ["7fffffffffffffff", "8000000000000000"]
    assert hash_items[3] == "8000000000000001"
    assert int(hash_items[5], 16) == 2**64 - 946_684_800_000_000
    assert len(set(hash_items)) == len(values)


def _fill(bench: Bench, native: str, values: tuple[str, ...]) -> None:
    rows = ", ".join(f"({number}, ({value})::{native})" for number, value in enumerate((*values, "NULL")))
    bench.at_source(f"CREATE TABLE s (id integer, v {native})", f"INSERT INTO s VALUES {rows}")

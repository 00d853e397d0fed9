"""Tests of writing: all rows or none, counted by the system, and only by the run that holds the claim."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pyarrow as pa
import pytest

from connections.sdk.arrow.convert import convert_exactly
from connections.sdk.claim import Claim
from connections.sdk.errors import CountMismatch, DataError, InvalidValue, Overtaken, PipekitError, TableMissing
from connections.sdk.protocols import WriteTarget
from connections.sdk.schema import Column, TableName
from connections.sdk.testing.case import as_array
from connections.sdk.testing.fixtures import Fixtures
from connections.sdk.testing.values import SAMPLES
from connections.sdk.testing.workbench import MemoryBatches, Workbench, plain
from connections.sdk.types import DataType, Kind, to_arrow

_MANY = 20_000


class _SourceFailed(Exception):
    """An error of the source in the middle of a transfer."""


def rows_of(columns: Iterable[Column], *rows: tuple[object, ...]) -> pa.RecordBatch:
    """Return a batch of the columns with these rows."""
    schema = pa.schema([(c.dest_name, to_arrow(c.data_type)) for c in columns])
    return pa.record_batch(
        [as_array([row[i] for row in rows], field.type) for i, field in enumerate(schema)], schema=schema
    )


class WritingTests(Fixtures):
    """The writer of a destination."""

    def test_every_value_is_written_exactly(self, bench: Workbench) -> None:
        table, values = bench.samples(), bench.sample_values()
        columns = bench.columns(table)
        arrays = [pa.array(range(len(values[0])), pa.int64())]
        for sample, some, wanted in zip(SAMPLES, values, columns[1:], strict=True):
            arrays.append(convert_exactly(as_array(some, to_arrow(sample.data_type)), wanted))
        batch = pa.record_batch(arrays, names=[column.dest_name for column in columns])
        assert bench.write(table, columns, [batch], clear=True) == len(values[0])
        found = bench.read(bench.select(table), columns)
        for column, expected in zip(columns, arrays, strict=True):
            assert plain(found.column(column.dest_name)) == plain(expected), column.dest_name
        # not only the reader sees it so
        rows = bench.rows(bench.select(table))
        for position, (sample, some) in enumerate(zip(SAMPLES, values, strict=True), start=1):
            if sample.data_type.kind in (Kind.TEXT, Kind.BINARY, Kind.BIGINT):
                assert [row[position] for row in rows] == some, sample

    def test_many_rows_in_several_batches_are_counted(self, bench: Workbench) -> None:
        table = bench.create([("n", bench.native(Kind.BIGINT)), ("s", bench.native(Kind.TEXT))])
        columns = bench.columns(table)
        rows = [(n, f"row {n}") for n in range(_MANY)]
        sizes = (0, 1, 3000, 0, _MANY - 3001, 0)
        batches, start = [], 0
        for size in sizes:
            batches.append(rows_of(columns, *rows[start : start + size]))
            start += size
        assert bench.write(table, columns, batches) == _MANY
        assert bench.rows(bench.select(table)) == rows

    def test_an_empty_source_writes_no_rows(self, bench: Workbench) -> None:
        table = bench.numbers(3)
        assert bench.write(table, bench.columns(table), []) == 0
        assert bench.write(table, bench.columns(table), [rows_of(bench.columns(table))]) == 0
        assert len(bench.rows(bench.select(table))) == 3
        assert bench.write(table, bench.columns(table), [], clear=True) == 0
        assert bench.rows(bench.select(table)) == []

    def test_rows_are_appended_or_replace_existing_rows(self, bench: Workbench) -> None:
        table = bench.numbers(2)
        columns = bench.columns(table)
        assert bench.write(table, columns, [rows_of(columns, (1, "again"), (1, "again"))]) == 2
        assert sorted(bench.rows(bench.select(table))) == [(1, "again"), (1, "again"), (1, "row 1"), (2, "row 2")]
        assert bench.write(table, columns, [rows_of(columns, (9, None))], clear=True) == 1
        assert bench.rows(bench.select(table)) == [(9, None)]

    def test_columns_may_be_fewer_and_in_another_order(self, bench: Workbench) -> None:
        number, text = bench.native(Kind.BIGINT), bench.native(Kind.TEXT)
        table = bench.create([("n", number), ("s", text), ("d", f"{text} DEFAULT 'default'")])
        n, s, _ = bench.columns(table)
        assert bench.write(table, (s, n), [rows_of((s, n), ("x", 1), (None, 2))]) == 2
        assert bench.rows(bench.select(table)) == [(1, "x", "default"), (2, None, "default")]

    @pytest.mark.parametrize("clear", [False, True])
    def test_an_error_of_the_source_writes_no_rows(self, bench: Workbench, clear: bool) -> None:
        table = bench.numbers(2)
        columns = bench.columns(table)

        def fail(number: int) -> None:
            if number == 2:
                raise _SourceFailed("the source went away")

        batches = [rows_of(columns, *((n, "new") for n in range(5000))) for _ in range(2)]
        with pytest.raises(_SourceFailed, match="the source went away"):
            bench.write(table, columns, batches, clear=clear, before=fail)
        assert bench.rows(bench.select(table)) == [(1, "row 1"), (2, "row 2")]
        assert bench.write(table, columns, batches[:1], clear=clear) == 5000

    @pytest.mark.parametrize("clear", [False, True])
    def test_a_refused_row_writes_no_rows(self, bench: Workbench, clear: bool) -> None:
        columns_of = [("n", f"{bench.native(Kind.BIGINT)} NOT NULL"), ("s", bench.native(Kind.TEXT))]
        table = bench.create(columns_of, [(1, "kept")])
        columns = bench.columns(table)
        batches = [rows_of(columns, *((n, "new") for n in range(5000))), rows_of(columns, (7, "new"), (None, "new"))]
        with pytest.raises(DataError) as caught:
            bench.write(table, columns, batches, clear=clear)
        assert isinstance(caught.value, InvalidValue)
        assert bench.rows(bench.select(table)) == [(1, "kept")]

    def test_a_missing_table_is_reported_as_table_missing(self, bench: Workbench) -> None:
        columns = bench.columns(bench.numbers(1))
        missing = TableName(bench.case.schema, "pipekit_test_missing")
        with pytest.raises(TableMissing):
            bench.write(missing, columns, [rows_of(columns, (1, "x"))])

    def test_a_source_that_counts_other_rows_than_it_delivers_is_refused(self, bench: Workbench) -> None:
        table = bench.numbers(1)
        columns = bench.columns(table)
        schema = pa.schema([(c.dest_name, to_arrow(c.data_type)) for c in columns])
        lying = MemoryBatches(schema, [rows_of(columns, (2, "x"))], before=lambda number: setattr(lying, "rows", 5))
        with pytest.raises(CountMismatch):
            bench.writer.write(WriteTarget(parameters=bench.parameters, table=table, columns=columns), lying)
        assert bench.rows(bench.select(table)) == [(1, "row 1")]

    def test_rows_are_visible_to_others_only_after_the_write(self, bench: Workbench) -> None:
        table = bench.numbers(1)
        columns = bench.columns(table)
        seen = list[int]()

        def look(number: int) -> None:
            seen.append(len(bench.rows(bench.select(table))))

        batches = [rows_of(columns, *((n, "new") for n in range(3000))) for _ in range(3)]
        assert bench.write(table, columns, batches, before=look) == 9000
        assert seen == [1, 1, 1, 1]
        assert len(bench.rows(bench.select(table))) == 9001

    def test_only_the_run_that_holds_the_claim_writes(self, bench: Workbench) -> None:
        table = bench.numbers(1)
        text = bench.native(Kind.TEXT)
        claims = bench.create([("module", text), ("run", text)], [("m", "another")], suffix="_claims")
        lock = bench.publishing.lock_rows(shared=True)
        sql = f"SELECT run FROM {bench.dialect.qualified(claims)} WHERE module = 'm'"
        claim = Claim(sql=f"{sql} {lock}".strip(), run="mine", module="m")
        columns = bench.columns(table)
        batch = rows_of(columns, (2, "new"))
        with pytest.raises(Overtaken, match="Another run of m"):
            bench.write(table, columns, [batch], clear=True, claim=claim)
        with pytest.raises(Overtaken):
            bench.write(table, columns, [batch], claim=replace(claim, sql=f"{sql} AND run = 'nobody'"))
        assert bench.rows(bench.select(table)) == [(1, "row 1")]
        bench.execute(f"UPDATE {bench.dialect.qualified(claims)} SET run = 'mine'")
        assert bench.write(table, columns, [batch], clear=True, claim=claim) == 1
        assert bench.rows(bench.select(table)) == [(2, "new")]

    def test_a_decimal_is_not_rounded_to_fit(self, bench: Workbench) -> None:
        native = bench.native(Kind.DECIMAL, precision=9, scale=2)
        table = bench.create([("n", bench.native(Kind.BIGINT)), ("v", native)])
        n, v = bench.columns(table)
        wide = replace(v, data_type=DataType(kind=Kind.DECIMAL, precision=38, scale=10))
        try:
            bench.write(table, (n, wide), [rows_of((n, wide), (1, "1.0050000000"))])
        except (PipekitError, pa.ArrowInvalid, pa.ArrowTypeError):
            assert bench.rows(bench.select(table)) == []
        else:
            pytest.fail("a value was rounded in silence")

    @pytest.mark.matrix
    def test_large_values_are_written_completely(self, bench: Workbench) -> None:
        columns = [("n", bench.native(Kind.BIGINT)), ("t", bench.native(Kind.TEXT)), ("b", bench.native(Kind.BINARY))]
        table = bench.create(columns)
        text, data = "é" * 2_000_000, bytes(range(256)) * 16_000
        assert (
            bench.write(table, bench.columns(table), [rows_of(bench.columns(table), (1, text, data), (2, "", b""))])
            == 2
        )
        assert [tuple(row) for row in bench.rows(bench.select(table))] == [(1, text, data), (2, "", b"")]

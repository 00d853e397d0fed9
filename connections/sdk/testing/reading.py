"""Tests of reading: every value exactly or refused, in batches of bounded size, without leaving anything behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pytest

from connections.sdk.errors import InvalidValue, PipekitError
from connections.sdk.schema import Column
from connections.sdk.testing.case import as_array
from connections.sdk.testing.fixtures import Fixtures, wait_for
from connections.sdk.testing.values import SAMPLES, WRITING
from connections.sdk.testing.workbench import BATCH_BYTES, Workbench, column, endless, plain
from connections.sdk.types import DataType, Kind, to_arrow

_SMALL = 64_000
_MANY = 20_000
_SAMPLE_COLUMNS = [
    Column(dest_name=name, dest_type="", data_type=data_type)
    for name, data_type in [("n", DataType(kind=Kind.BIGINT)), *((str(s), s.data_type) for s in SAMPLES)]
]
# type and value in the source, and a type that cannot hold the value
_MISFITS = (
    (Kind.BIGINT, 3_000_000_000, DataType(kind=Kind.INTEGER)),
    (Kind.BIGINT, 40_000, DataType(kind=Kind.SMALLINT)),
    (Kind.BIGINT, 12_345, DataType(kind=Kind.DECIMAL, precision=4, scale=0)),
    (Kind.DOUBLE, 1.5, DataType(kind=Kind.BIGINT)),
    (Kind.DOUBLE, 0.125, DataType(kind=Kind.DECIMAL, precision=9, scale=2)),
    (Kind.TEXT, "abc", DataType(kind=Kind.INTEGER)),
    (Kind.TEXT, "1.005", DataType(kind=Kind.DECIMAL, precision=9, scale=2)),
    (Kind.TEXT, "2026-02-30", DataType(kind=Kind.DATE)),
    (Kind.TEXT, "2026-01-01 10:00:00.1234567", DataType(kind=Kind.TIMESTAMP)),
    (Kind.TEXT, "perhaps", DataType(kind=Kind.BOOLEAN)),
)

_DECLARE_UNSTOPPABLE = (
    "If the system's driver cannot interrupt a query, declare it in the connector's conformance.yaml: "
    'known_gaps: {test_close_from_another_thread_stops_a_read: "the reason"}'
)


class ReadingTests(Fixtures):
    """The reader of a source."""

    def test_every_value_is_read_exactly(self, bench: Workbench) -> None:
        table, values = bench.samples(), bench.sample_values()
        found = bench.read(bench.select(table), _SAMPLE_COLUMNS)
        assert found.column("n").to_pylist() == list(range(len(values[0])))
        for sample, expected in zip(SAMPLES, values, strict=True):
            array = as_array(expected, to_arrow(sample.data_type))
            assert plain(found.column(str(sample))) == plain(array), sample

    def test_columns_of_nulls_and_an_empty_result_keep_their_types(self, bench: Workbench) -> None:
        table = bench.samples(rows=2)
        wanted = [replace(column, dest_name=f"other {column.dest_name}") for column in _SAMPLE_COLUMNS]
        expected = pa.schema([(column.dest_name, to_arrow(column.data_type)) for column in wanted])
        assert bench.reader.read(bench.parameters, "SELECT 1", wanted, batch_bytes=_SMALL).schema == expected
        found = bench.read(bench.select(table), wanted)
        assert found.schema == expected
        assert all(column.null_count == 2 for column in found.columns[1:])
        none = f"SELECT * FROM {bench.dialect.qualified(table)} WHERE n < 0"
        assert bench.batches(none, wanted) == []

    def test_the_types_of_the_system_are_read_exactly(self, bench: Workbench) -> None:
        if not bench.case.own_types:
            pytest.skip("The connector under test names no types of its system.")
        for typed in bench.case.own_types:
            table = bench.create([("n", bench.native(Kind.BIGINT)), ("v", typed.native)])
            name = bench.dialect.qualified(table)
            bench.execute(*(f"INSERT INTO {name} VALUES ({n}, {sql})" for n, sql in enumerate(typed.values)))
            _, described = bench.columns(table)
            data_type = typed.read_as or described.data_type
            wanted = [column("n", Kind.BIGINT), Column(dest_name="v", dest_type="", data_type=data_type)]
            found = bench.read(bench.select(table), wanted).column("v")
            assert plain(found) == plain(typed.expected(to_arrow(data_type))), typed.native

    def test_a_value_that_does_not_fit_is_named_with_its_column(self, bench: Workbench) -> None:
        names = [f"odd {number}" for number in range(len(_MISFITS))]
        columns = [(name, bench.native(source)) for name, (source, *_) in zip(names, _MISFITS, strict=True)]
        odd = [value for _, value, _ in _MISFITS]
        table = bench.create([("n", bench.native(Kind.BIGINT)), *columns], [(1, *[None] * len(odd)), (2, *odd)])
        for name, (_, value, data_type) in zip(names, _MISFITS, strict=True):
            query = f"SELECT n, {bench.dialect.quote(name)} FROM {bench.dialect.qualified(table)} ORDER BY n"
            wanted = [column("n", Kind.BIGINT), Column(dest_name=name, dest_type="", data_type=data_type)]
            with pytest.raises(InvalidValue) as caught:
                bench.batches(query, wanted)
            assert caught.value.code == "value_misfit"
            assert name in caught.value.message
            assert str(value) in f"{caught.value.message} {caught.value.detail}"

    @pytest.mark.matrix
    def test_large_values_are_read_completely(self, bench: Workbench) -> None:
        columns = [("n", bench.native(Kind.BIGINT)), ("t", bench.native(Kind.TEXT)), ("b", bench.native(Kind.BINARY))]
        text, data = "é" * 2_000_000, bytes(range(256)) * 16_000
        table = bench.create(columns, [(1, text, data), (2, "", b""), (3, text[:-1], data[:-1])])
        found = bench.read(bench.select(table), bench.columns(table))
        assert found.column("t").to_pylist() == [text, "", text[:-1]]
        assert found.column("b").to_pylist() == [data, b"", data[:-1]]

    def test_batches_have_the_requested_size(self, bench: Workbench) -> None:
        table = bench.numbers(_MANY)
        batches = bench.batches(bench.select(table), bench.columns(table), _SMALL)
        assert len(batches) >= 3, "everything came in one batch"
        assert max(batch.nbytes for batch in batches) <= 2 * _SMALL
        assert all(batch.num_rows for batch in batches), "an empty batch"
        found = pa.Table.from_batches(batches)
        assert found.column("n").to_pylist() == list(range(1, _MANY + 1))
        assert found.column("s").to_pylist() == [f"row {n}" for n in range(1, _MANY + 1)]

    def test_a_query_is_sent_unchanged(self, bench: Workbench) -> None:
        name = bench.dialect.qualified(bench.numbers(3))
        query = f"SELECT n, '%s ? :x' AS s /* ; */ FROM {name} WHERE s LIKE '%2' ORDER BY n"
        columns = [column("a", Kind.BIGINT), column("b", Kind.TEXT)]
        for text in (query, f"{query};", f"{query} ; -- the end", f"-- first\n{query}\n;\n"):
            assert bench.read(text, columns).to_pylist() == [{"a": 2, "b": "%s ? :x"}]

    def test_two_columns_may_have_one_name_in_the_query(self, bench: Workbench) -> None:
        columns = [column("a", Kind.BIGINT), column("b", Kind.TEXT)]
        name = bench.dialect.qualified(bench.numbers(1))
        assert bench.read(f"SELECT n AS x, s AS x FROM {name}", columns).to_pylist() == [{"a": 1, "b": "row 1"}]

    def test_another_number_of_columns_is_refused(self, bench: Workbench) -> None:
        name = bench.dialect.qualified(bench.numbers(1))
        with pytest.raises(PipekitError):
            bench.batches(f"SELECT n, s FROM {name}", [column("n", Kind.BIGINT)])

    def test_a_source_query_cannot_write(self, bench: Workbench) -> None:
        table = bench.numbers(3)
        for text in WRITING:
            with pytest.raises(PipekitError):
                bench.batches(text.format(t=table.table), [column("n", Kind.BIGINT)])
        assert bench.rows(bench.select(table)) == [(n, f"row {n}") for n in (1, 2, 3)]
        with bench.session() as session:
            assert bench.connector.introspector.describe_table(session, bench.table("x")) is None

    def test_an_error_in_a_late_row_reaches_the_consumer(self, bench: Workbench) -> None:
        table = bench.create([("n", bench.native(Kind.BIGINT)), ("s", bench.native(Kind.TEXT))])
        name = bench.dialect.qualified(table)
        numbers = bench.dialect.qualified(bench.numbers(_MANY, suffix="_numbers"))
        bench.execute(f"INSERT INTO {name} SELECT n, CASE WHEN n = {_MANY} THEN 'odd' ELSE '1' END FROM {numbers}")
        columns = [column("n", Kind.BIGINT), column("s", Kind.INTEGER)]
        with pytest.raises(InvalidValue, match="odd"):
            bench.batches(bench.select(table), columns, _SMALL)

    def test_an_abandoned_read_releases_the_source(self, bench: Workbench) -> None:
        table = bench.numbers(_MANY)
        batches = bench.reader.read(bench.parameters, bench.select(table), bench.columns(table), batch_bytes=_SMALL)
        rows = iter(batches)
        next(rows)
        if isinstance(rows, Iterator) and hasattr(rows, "close"):
            rows.close()
        batches.close()
        batches.close()
        del rows
        # nothing holds the table any more
        bench.execute(f"DROP TABLE {bench.dialect.qualified(table)}")

    def test_several_queries_are_read_at_once(self, bench: Workbench) -> None:
        table = bench.numbers(1000)
        found = list[list[int]]()

        def read() -> None:
            found.append(bench.read(bench.select(table), columns, _SMALL).column("n").to_pylist())

        columns = bench.columns(table)
        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [list(range(1, 1001))] * 3

    @pytest.mark.runs_last
    def test_close_from_another_thread_stops_a_read(self, bench: Workbench) -> None:
        table = bench.numbers(1000)
        name = bench.dialect.qualified(table)
        query = f"SELECT a.n, a.s FROM {endless(name)}"
        batches = bench.reader.read(bench.parameters, query, bench.columns(table), batch_bytes=BATCH_BYTES)
        errors = list[BaseException]()

        def read() -> None:
            try:
                list(batches)
            except PipekitError as error:
                errors.append(error)

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive(), "the query ended by itself"

        def stopped() -> bool:
            batches.close()
            thread.join(0.2)
            return not thread.is_alive()

        if not wait_for(stopped, bench.case.cancel_seconds):
            bench.is_abandoned = True
            pytest.fail(f"The read goes on after close(); its table {table} is left. {_DECLARE_UNSTOPPABLE}")
        assert errors, "a read that was stopped must not look like an empty result"


class SnapshotTests(Fixtures):
    """For systems in which others can write while a query is read."""

    def test_a_read_sees_one_snapshot(self, bench: Workbench) -> None:
        if not bench.case.snapshots:
            pytest.skip("Others cannot write while a query is read.")
        table = bench.numbers(_MANY)
        name = bench.dialect.qualified(table)
        batches = bench.reader.read(bench.parameters, bench.select(table), bench.columns(table), batch_bytes=_SMALL)
        rows = iter(batches)
        count = next(rows).num_rows
        bench.execute(f"DELETE FROM {name} WHERE n > 100", f"INSERT INTO {name} VALUES (0, 'late')")
        count += sum(batch.num_rows for batch in rows)
        assert count == _MANY
        batches.close()

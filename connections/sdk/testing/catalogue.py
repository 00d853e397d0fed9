"""Tests of the catalogue: tables and queries are described as they are, by names of any content."""

from __future__ import annotations

from contextlib import suppress

import pyarrow as pa
import pytest

from connections.sdk.errors import ConfigurationInvalid, PipekitError
from connections.sdk.schema import TableName
from connections.sdk.sql.foreign_keys import ForeignKeyViolated
from connections.sdk.testing.fixtures import Fixtures
from connections.sdk.testing.values import NAMES, SAMPLES
from connections.sdk.testing.workbench import Workbench
from connections.sdk.types import DataType, Kind, to_arrow

# kinds that hold every value of the first
_WIDER = {
    Kind.SMALLINT: {Kind.INTEGER, Kind.BIGINT},
    Kind.INTEGER: {Kind.BIGINT},
    Kind.REAL: {Kind.DOUBLE},
}


class CatalogueTests(Fixtures):
    """describe_table and describe_query return names, types and order exactly."""

    def test_a_table_is_described_with_columns_keys_and_nullability(self, bench: Workbench) -> None:
        number, text = bench.native(Kind.BIGINT), bench.native(Kind.TEXT)
        columns = [
            ("b", number),
            ("a", f"{text} NOT NULL"),
            ("z z", text),
            ("k2", f"{number} NOT NULL"),
            ("k1", f"{text} NOT NULL"),
        ]
        key = bench.dialect.columns(("k1", "k2"))
        table = bench.create(columns, more=f", PRIMARY KEY ({key}), UNIQUE ({bench.dialect.quote('z z')})")
        with bench.session() as session:
            info = bench.connector.introspector.describe_table(session, table)
        assert info is not None
        assert info.name.table == table.table
        assert [column.name for column in info.columns] == ["b", "a", "z z", "k2", "k1"]
        assert [column.nullable for column in info.columns] == [True, False, True, False, False]
        assert [column.data_type.kind for column in info.columns] == [
            *(Kind.BIGINT, Kind.TEXT, Kind.TEXT, Kind.BIGINT, Kind.TEXT)
        ]
        assert not any(column.generated or column.identity for column in info.columns)
        assert info.primary_key == ("k1", "k2")
        assert {("k1", "k2"), ("z z",)} <= {*info.unique_keys, info.primary_key}
        assert info.accepts >= {"insert", "update", "delete"}
        assert not info.may_fill

    def test_describing_a_missing_table_returns_none(self, bench: Workbench) -> None:
        bench.numbers(1)
        introspector = bench.connector.introspector
        with bench.session() as session:
            for table in ("pipekit_test_missing", "pipekit_test%", "pipekit_tes_", '"pipekit_test"', "pipekit_test "):
                assert introspector.describe_table(session, TableName(bench.case.schema, table)) is None, table
            if bench.case.case_sensitive:
                assert introspector.describe_table(session, TableName(bench.case.schema, "PIPEKIT_TEST")) is None

    def test_a_rendered_type_keeps_its_meaning(self, bench: Workbench) -> None:
        described = bench.described(bench.samples())
        for sample, info in zip(SAMPLES, described[1:], strict=True):
            kind, found = sample.data_type.kind, info.data_type
            if bench.connector.datatypes.render(sample.data_type).warning:
                # what the system has no type for becomes text, and says so
                assert found.kind is Kind.TEXT, sample
            else:
                assert found.kind is kind or found.kind in _WIDER.get(kind, ()), f"{sample} became {found.kind}"
                if kind is Kind.DECIMAL:
                    assert (found.precision, found.scale) == (sample.data_type.precision, sample.data_type.scale)
            assert bench.connector.datatypes.parse(info.native_type).kind is found.kind, sample

    def test_an_unknown_type_becomes_text_with_a_warning(self, bench: Workbench) -> None:
        rendered = bench.connector.datatypes.render(DataType(kind=Kind.NATIVE, native="geometry"))
        assert "geometry" in rendered.warning
        assert bench.connector.datatypes.parse(rendered.native).kind is Kind.TEXT
        assert bench.connector.datatypes.parse("no such type").kind in (Kind.NATIVE, Kind.UNKNOWN)

    def test_a_query_is_described_in_its_order_without_reading_rows(self, bench: Workbench) -> None:
        name = bench.dialect.qualified(bench.numbers(3))
        query = f'SELECT s AS "Z z", n AS b, s AS a FROM {name} WHERE n > 1 ORDER BY n -- a comment'
        with bench.session() as session:
            for text in (query, f"{query}\n;", f"{query}\n  ;  -- the end"):
                columns = bench.connector.introspector.describe_query(session, text)
                assert [column.name for column in columns] == ["Z z", "b", "a"]
                assert [column.data_type.kind for column in columns] == [Kind.TEXT, Kind.BIGINT, Kind.TEXT]

    def test_describing_a_query_writes_nothing(self, bench: Workbench) -> None:
        table = bench.numbers(3)
        with bench.session() as session:
            for text in ("DELETE FROM {} RETURNING n", "INSERT INTO {} VALUES (7, 'x')", "SELECT 1; DELETE FROM {}"):
                # a system that only prepares a statement may describe one that writes
                with suppress(PipekitError):
                    bench.connector.introspector.describe_query(session, text.format(table.table))
        assert len(bench.rows(bench.select(table))) == 3

    def test_a_plain_table_has_no_side_effects(self, bench: Workbench) -> None:
        table, introspector = bench.numbers(1), bench.connector.introspector
        with bench.session() as session:
            assert not introspector.may_change_written_rows(session, table)
            assert introspector.foreign_keys(session, table) == ()
            assert introspector.conflicting_object(session, bench.table("_free")) == ""
            assert introspector.has_schema(session, bench.case.schema or bench.dialect.default_schema)
            assert not introspector.has_type(session, "pipekit_no_such_type")

    def test_a_similar_table_is_found(self, bench: Workbench) -> None:
        bench.numbers(1, suffix="_Similar")
        wanted = TableName(bench.case.schema, "PIPEKIT_TEST_SIMILAR")
        with bench.session() as session:
            similar = bench.connector.introspector.similar_tables(session, wanted)
            assert [table.table for table in similar] == ["pipekit_test_Similar"]
            assert bench.connector.introspector.similar_tables(session, bench.table("_Similar")) == ()

    def test_foreign_keys_that_reference_a_table_are_found(self, bench: Workbench) -> None:
        parent, child = self._referenced_and_referencing(bench)
        with bench.session() as session:
            (key,) = bench.connector.introspector.foreign_keys(session, parent)
            assert bench.connector.introspector.foreign_keys(session, child) == ()
        assert "pipekit_test_child" in str(key)

    def test_the_violation_of_a_foreign_key_is_reported_as_such_if_sessions_enforce_it(self, bench: Workbench) -> None:
        parent, child = self._referenced_and_referencing(bench)
        names = [bench.dialect.qualified(table) for table in (parent, child)]
        for name in names:
            bench.execute(f"INSERT INTO {name} VALUES (1)")
        with bench.session() as session:
            (key,) = bench.connector.introspector.foreign_keys(session, parent)
            if not key.enforced:
                assert session.execute(f"DELETE FROM {names[0]}") in (1, -1)
                return
            with pytest.raises(ForeignKeyViolated) as deleting:
                session.execute(f"DELETE FROM {names[0]}")
            with pytest.raises(ForeignKeyViolated) as inserting:
                session.execute(f"INSERT INTO {names[1]} VALUES (2)")
        assert not deleting.value.is_referencing
        assert {deleting.value.constraint, inserting.value.constraint} <= {"", key.constraint}

    @staticmethod
    def _referenced_and_referencing(bench: Workbench) -> tuple[TableName, TableName]:
        number = bench.native(Kind.BIGINT)
        parent = bench.create([("k", number)], suffix="_parent", more=", PRIMARY KEY (k)")
        reference = f", FOREIGN KEY (p) REFERENCES {bench.dialect.qualified(parent)} (k)"
        return parent, bench.create([("p", number)], suffix="_child", more=reference)


class NameTests(Fixtures):
    """Tables and columns of any name are created, described, read and written."""

    def test_columns_may_have_any_names(self, bench: Workbench) -> None:
        text = bench.native(Kind.TEXT)
        table = bench.create([("n", bench.native(Kind.BIGINT)), *((name, text) for name in NAMES)])
        bench.execute(f"INSERT INTO {bench.dialect.qualified(table)} (n) VALUES (1)")
        assert [column.name for column in bench.described(table)] == ["n", *NAMES]
        with bench.session() as session:
            described = bench.connector.introspector.describe_query(session, bench.select(table))
        assert [column.name for column in described] == ["n", *NAMES]
        self._check_rows(bench, table)

    @pytest.mark.matrix
    def test_tables_may_have_any_name(self, bench: Workbench) -> None:
        for name in NAMES:
            table = bench.create([("n", bench.native(Kind.BIGINT))], suffix=name)
            with bench.session() as session:
                session.execute(f"INSERT INTO {bench.dialect.qualified(table)} VALUES (1)")
                info = bench.connector.introspector.describe_table(session, table)
            assert info is not None and info.name.table == table.table

    @pytest.mark.parametrize("name", [NAMES[0], *(pytest.param(name, marks=pytest.mark.matrix) for name in NAMES[1:])])
    def test_a_table_of_any_name_is_read_and_written(self, bench: Workbench, name: str) -> None:
        table = bench.create([("n", bench.native(Kind.BIGINT)), (name, bench.native(Kind.TEXT))], suffix=name)
        bench.execute(f"INSERT INTO {bench.dialect.qualified(table)} VALUES (1, NULL)")
        self._check_rows(bench, table)

    def _check_rows(self, bench: Workbench, table: TableName) -> None:
        """Read the only row of the table, by all columns and by one, and write it once more."""
        columns = bench.columns(table)
        names = [column.dest_name for column in columns]
        if bench.connector.reader:
            row = dict.fromkeys(names) | {"n": 1}
            assert bench.read(bench.select(table), columns).to_pylist() == [row]
            query = f"SELECT q.{bench.dialect.quote(names[-1])} FROM ({bench.select(table)}) q"
            assert bench.read(query, columns[-1:]).to_pylist() == [{names[-1]: None}]
        if bench.connector.writer:
            batch = pa.RecordBatch.from_pylist(
                [dict.fromkeys(names) | {"n": 2, names[-1]: "x"}],
                pa.schema([(column.dest_name, to_arrow(column.data_type)) for column in columns]),
            )
            assert bench.write(table, columns, [batch]) == 1
            query = f"SELECT n, {bench.dialect.quote(names[-1])} FROM {bench.dialect.qualified(table)} ORDER BY n"
            assert bench.rows(query) == [(1, None), (2, "x")]

    def test_names_up_to_the_longest_are_kept_and_longer_ones_refused(self, bench: Workbench) -> None:
        limit = bench.dialect.max_identifier
        longest = "n" * limit
        (info,) = bench.described(bench.create([(longest, bench.native(Kind.BIGINT))]))
        assert info.name == longest
        letter = "é" if bench.dialect.identifier_unit == "bytes" else "😀"
        wide = letter * (limit // 2)
        (info,) = bench.described(bench.create([(wide, bench.native(Kind.BIGINT))]))
        assert info.name == wide
        for refused in (longest + "n", wide + letter, "", "a\0b"):
            with pytest.raises(ConfigurationInvalid):
                bench.dialect.quote(refused)

"""Tests of opening and closing sessions, and of the errors when that is not possible."""

from __future__ import annotations

import inspect
import json
import traceback
from collections.abc import Callable
from dataclasses import replace

import pytest

from connections import registry
from connections.sdk import errors
from connections.sdk.capabilities import Cap
from connections.sdk.errors import PipekitError
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Introspector, Reader, Session, Writer, WriteTarget
from connections.sdk.schema import TableName
from connections.sdk.sql.publishing import PublishingDialect
from connections.sdk.testing.case import CANARY, ConnectorUnderTest
from connections.sdk.testing.fixtures import Fixtures
from connections.sdk.testing.values import FEATURES
from connections.sdk.testing.workbench import MemoryBatches, Workbench, column


def fails_with(code: str, act: Callable[[], object], *, name: str) -> PipekitError:
    """Call ``act``, which must raise the error of this code; return it. It names the connection, and no secret."""
    with pytest.raises(PipekitError) as caught:
        act()
    error = caught.value
    assert error.code == code, f"{error.code}: {error.message}"
    assert name in error.message, f"the error does not name the connection {name}: {error.message}"
    assert error.message.strip() and error.hint.strip(), "an error has a message and a hint"
    assert CANARY not in f"{error!r} {error.as_dict()} {error.args}", "the error contains the password"
    assert CANARY not in "".join(traceback.format_exception(error)), "the traceback contains the password"
    return error


class DeclarationTests(Fixtures):
    """The manifest, the capabilities and the parts of the connector agree."""

    def test_capabilities_match_the_manifest(self, bench: Workbench) -> None:
        manifest = registry.manifest(bench.parameters.kind)
        assert (manifest.name, manifest.capabilities) == (bench.connector.kind, bench.connector.capabilities)
        assert manifest.version and manifest.description and manifest.title

    def test_connector_and_dialect_are_named_after_the_kind(self, bench: Workbench) -> None:
        assert bench.connector.kind == bench.parameters.kind == bench.dialect.name

    def test_capabilities_match_the_methods(self, bench: Workbench) -> None:
        capabilities = bench.connector.capabilities
        assert (bench.connector.reader is not None) == (Cap.READ in capabilities)
        assert (bench.connector.writer is not None) == (Cap.WRITE in capabilities)
        if Cap.WRITE in capabilities:
            assert isinstance(bench.dialect, PublishingDialect), "a destination needs a PublishingDialect"
            assert isinstance(bench.writer.works_here, bool)

    @pytest.mark.parametrize("capability", list(Cap))
    def test_a_missing_capability_is_refused_by_name(self, bench: Workbench, capability: Cap) -> None:
        kind = bench.parameters.kind
        if capability in registry.connector(kind).capabilities:
            assert registry.connector(kind, capability).kind == kind
        else:
            with pytest.raises(errors.NotSupported, match=str(capability.name).lower()):
                registry.connector(kind, capability)

    def test_the_values_that_the_system_lacks_are_declared(self, bench: Workbench) -> None:
        declared = bench.case.lacks
        lacking = sorted({*declared, *(feature for feature in FEATURES - declared if not bench.stores(feature))})
        assert lacking == sorted(declared), (
            "The system stores some values as others, or refuses them. Declare them, or tests of values fail: "
            f'lacks=frozenset({lacking}), on the command line "lacks": {json.dumps(lacking)}'
        )

    def test_whether_the_system_distinguishes_names_by_case_is_declared(self, bench: Workbench) -> None:
        bench.numbers(1)
        if bench.case.case_sensitive and bench.has_rows(TableName(bench.case.schema, "PIPEKIT_TEST")):
            pytest.fail(
                "Names that differ only in case are the same name. Declare it, or tests of names fail: "
                'case_sensitive=False, on the command line "case_sensitive": false'
            )

    def test_the_protocols_are_implemented_completely(self, bench: Workbench) -> None:
        with bench.session() as session:
            parts: list[tuple[type, object]] = [(Session, session), (Introspector, bench.connector.introspector)]
            parts += [(Reader, bench.connector.reader)] if bench.connector.reader else []
            parts += [(Writer, bench.connector.writer)] if bench.connector.writer else []
            assert isinstance(session.server_version, int)
            for protocol, part in parts:
                for name, method in inspect.getmembers(protocol, inspect.isfunction):
                    if not name.startswith("_"):
                        _check_signature(protocol, name, method, getattr(part, name, None))


def _check_signature(protocol: type, name: str, method: Callable[..., object], found: object) -> None:
    assert callable(found), f"{protocol.__name__}.{name} is missing"
    expected = [p for p in inspect.signature(method).parameters.values() if p.name != "self"]
    actual = inspect.signature(found).parameters
    for parameter in expected:
        assert parameter.name in actual, f"{protocol.__name__}.{name} has no parameter {parameter.name}"
        assert (parameter.default is inspect.Parameter.empty) or actual[parameter.name].default == parameter.default


class ConnectionTests(Fixtures):
    """Sessions open, close, and say what is wrong when they cannot."""

    def test_a_closed_session_refuses_statements(self, bench: Workbench) -> None:
        session = bench.connector.connect(bench.parameters)
        try:
            assert session.fetch("SELECT 1") == [(1,)]
        finally:
            session.close()
        session.close()
        with pytest.raises(PipekitError):
            session.fetch("SELECT 1")

    def test_sessions_can_be_opened_repeatedly(self, bench: Workbench) -> None:
        for number in range(10):
            assert bench.rows(f"SELECT {number}") == [(number,)]

    def test_bad_sql_is_reported_as_query_invalid(self, bench: Workbench) -> None:
        self._check(bench, "query_invalid", "SELEC 1")

    def test_a_missing_table_is_reported_as_table_missing(self, bench: Workbench) -> None:
        table = TableName(bench.case.schema, "pipekit_test_missing")
        self._check(bench, "table_missing", f"SELECT * FROM {bench.dialect.qualified(table)}")

    def test_a_missing_column_is_reported_as_column_missing(self, bench: Workbench) -> None:
        table = bench.numbers(1)
        self._check(bench, "column_missing", f"SELECT t.missing FROM {bench.dialect.qualified(table)} t")

    def test_errors_contain_no_password(self, bench: Workbench, connector_under_test: ConnectorUnderTest) -> None:
        quoted = bench.dialect.string("x")
        with bench.session() as session, pytest.raises(PipekitError) as caught:
            session.execute(f"SELECT {quoted} FROM {quoted}{quoted} missing (")
        password = connector_under_test.parameters.password
        assert not password or password not in f"{caught.value!r} {caught.value.as_dict()}"
        assert "password" not in repr(connector_under_test.parameters)

    def _check(self, bench: Workbench, code: str, query: str) -> None:
        """Check the error of a query in all places that take one."""
        name, introspector = bench.parameters.name, bench.connector.introspector
        with bench.session() as session:
            fails_with(code, lambda: session.execute(query), name=name)
            fails_with(code, lambda: session.fetch(query), name=name)
            fails_with(code, lambda: session.fetch_read_only(query), name=name)
            fails_with(code, lambda: introspector.describe_query(session, query), name=name)
            # the session is usable after each
            assert session.fetch("SELECT 1") == [(1,)]


class ReadErrorTests(Fixtures):
    """The reader raises the same errors as a session."""

    @pytest.mark.parametrize(
        ("code", "query"),
        [
            ("query_invalid", "SELEC 1"),
            ("table_missing", "SELECT n FROM pipekit_test_missing"),
        ],
    )
    def test_the_reader_reports_a_bad_query(self, bench: Workbench, code: str, query: str) -> None:
        from connections.sdk.types import Kind

        bench.numbers(1)
        columns = [column("n", Kind.BIGINT)]
        fails_with(code, lambda: bench.batches(query, columns), name=bench.parameters.name)


def _uses(bench: Workbench, parameters: ConnectionParameters) -> list[Callable[[], object]]:
    """Return everything that opens a connection with these parameters."""
    from connections.sdk.types import Kind

    columns = [column("n", Kind.BIGINT, bench.native(Kind.BIGINT))]
    uses: list[Callable[[], object]] = [lambda: bench.connector.connect(parameters)]
    if reader := bench.connector.reader:
        uses.append(lambda: list(reader.read(parameters, "SELECT 1 AS n", columns, batch_bytes=1000)))
    if writer := bench.connector.writer:
        import pyarrow as pa

        batches = MemoryBatches(pa.schema([("n", pa.int64())]), [])
        table = TableName(bench.case.schema, "pipekit_test")
        target = WriteTarget(parameters=parameters, table=table, columns=columns)
        uses.append(lambda: writer.write(target, batches))
    return uses


def _check_uses(bench: Workbench, parameters: ConnectionParameters | None, code: str, *, password: str) -> None:
    if parameters is None:
        pytest.skip(f"The connector under test names no connection that fails with {code}.")
    parameters = replace(parameters, password=password)
    for use in _uses(bench, parameters):
        fails_with(code, use, name=parameters.name)


class MissingDatabaseTests(Fixtures):
    """For systems in which a database or file can be missing."""

    def test_a_missing_database_is_reported_as_database_missing(
        self, bench: Workbench, connector_under_test: ConnectorUnderTest
    ) -> None:
        missing, password = connector_under_test.missing_database, connector_under_test.parameters.password
        _check_uses(bench, missing, "database_missing", password=password)


class ServerTests(Fixtures):
    """For systems that are servers, reached over a network."""

    def test_a_refused_connection_is_reported_as_connection_failed(
        self, bench: Workbench, connector_under_test: ConnectorUnderTest
    ) -> None:
        _check_uses(bench, connector_under_test.refused, "connection_failed", password=CANARY)

    def test_a_wrong_password_is_reported_as_authentication_failed(
        self, bench: Workbench, connector_under_test: ConnectorUnderTest
    ) -> None:
        _check_uses(bench, connector_under_test.wrong_password, "authentication_failed", password=CANARY)

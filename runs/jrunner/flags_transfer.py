"""Transfers by command line flags: describe the columns of both systems, and create a missing destination table."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from connections import registry
from connections.sdk.capabilities import Cap
from connections.sdk.errors import ColumnMissing, ConfigurationInvalid, NotSupported, SecretMissing
from connections.sdk.files import protection
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Connector, Session
from connections.sdk.row_counts import TransferResult
from connections.sdk.schema import Column, ColumnInfo, TableInfo, TableName
from connections.sdk.sql.dialect import Dialect
from connections.sdk.sql.final_semicolon import without_final_semicolon
from connections.sdk.sql.publishing import PublishingDialect
from connections.sdk.sql.type_validation import is_type
from connections.sdk.types import DataType, Kind
from connections.url.parse import kind_of
from runs.jrunner import protection_file
from runs.jrunner.cancel import Cancellation
from runs.jrunner.job import Job
from runs.jrunner.transfer import Transfer

_DATES_AND_TIMES = frozenset({Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})


class FlagsTransfer(Transfer):
    """The transfer that the flags describe. A destination table that it has created is dropped again if it fails."""

    def __init__(self, options: argparse.Namespace, cancellation: Cancellation) -> None:
        super().__init__(cancellation)
        self.options = options

    def execute(self) -> tuple[str, TransferResult]:
        _protect()
        options = self.options
        source = _parameters(options.scu, options.scn, options.scp, "source")
        # a destination file may not exist yet
        destination = _parameters(options.dcu, options.dcn, options.dcp, "destination", create=True)
        self.reporter.begin((source.password, destination.password))
        job, table_created = _prepare_job(options, source, destination)
        try:
            return self.copy(job)
        except BaseException:
            if table_created:
                _drop_table(job)
            raise


class PrintTransfer(Transfer):
    """The transfer of a query's rows to standard output (``-f``)."""

    def __init__(self, options: argparse.Namespace, cancellation: Cancellation) -> None:
        super().__init__(cancellation, events=False)
        self.options = options

    def execute(self) -> tuple[str, TransferResult]:
        from runs.jrunner.output_formats import PrintingWriter
        from runs.jrunner.routes import arrow

        _protect()
        source = _parameters(self.options.scu, self.options.scn, self.options.scp, "source")
        self.reporter.begin((source.password,))
        job, writer = _printing_job(self.options, source), PrintingWriter(self.options.f)
        return "arrow", arrow.copy(job, self.reporter, self.cancellation, writer=writer)


def _protect() -> None:
    """Make connections of this process refuse Pipekit's own files and databases.

    Raises Protected when the list of them cannot be read.
    """
    protection.configure(protection_file.read())


def _parameters(url: str, username: str, password: str, name: str, *, create: bool = False) -> ConnectionParameters:
    return ConnectionParameters(
        kind=kind_of(url),
        url=url,
        username=username,
        password=_secret(password, name),
        options={"create": True} if create else {},
        name=name,
    )


def _secret(flag: str, name: str) -> str:
    """Return the password for a flag: ``-`` reads a line of standard input, ``$NAME`` an environment variable."""
    if flag == "-":
        return (
            getpass.getpass(f"password of the {name}: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
        )
    if flag.startswith("$"):
        if flag[1:] not in os.environ:
            raise SecretMissing(
                f"The environment has no {flag[1:]}.", hint=f"Set it, or give the {name} password by -."
            )
        return os.environ[flag[1:]]
    return flag


def _read_query(options: argparse.Namespace) -> str:
    try:
        return Path(options.sq).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationInvalid(
            f"The query file {options.sq} cannot be read.", hint="-sq names a UTF-8 text file.", detail=str(error)
        ) from None


def _describe_query(source: ConnectionParameters, query: str) -> tuple[ColumnInfo, ...]:
    connector = registry.connector(source.kind, Cap.READ)
    with closing(connector.connect(source)) as session:
        return connector.introspector.describe_query(session, without_final_semicolon(query))


def _prepare_job(
    options: argparse.Namespace, source: ConnectionParameters, destination: ConnectionParameters
) -> tuple[Job, bool]:
    """Return the job, and whether its table was created, with the types mapped from the query's."""
    query = _read_query(options)
    source_columns = _describe_query(source, query)
    table = TableName.parse(options.dt)
    connector = registry.connector(destination.kind, Cap.WRITE)
    with closing(connector.connect(destination)) as session:
        existing = connector.introspector.describe_table(session, table)
        if existing is None:
            columns = _map_columns(source_columns, source, session=session, connector=connector)
            _create_table(session, registry.dialect_for(destination), table, columns)
        else:
            columns = _match_columns(source_columns, existing)
    job = Job(
        source=source,
        query=query,
        destination=destination,
        table=table,
        columns=columns,
        clear=options.c,
        trim=options.t,
        options={"nul_bytes": "strip" if options.strip_nul else "fail"},
    )
    return job, existing is None


def _drop_table(job: Job) -> None:
    with closing(registry.connector(job.destination.kind).connect(job.destination)) as session:
        session.execute(f"DROP TABLE {registry.dialect_for(job.destination).qualified(job.table)}")


def _printing_job(options: argparse.Namespace, source: ConnectionParameters) -> Job:
    """Return a job with the source's own columns, for printing; its destination is not used."""
    query = _read_query(options)
    columns = tuple(
        Column(dest_name=column.name, dest_type=column.native_type, data_type=_printable_type(column.data_type))
        for column in _describe_query(source, query)
    )
    return Job(
        source=source,
        query=query,
        destination=ConnectionParameters(kind="", url=""),
        table=TableName("", "standard output"),
        columns=columns,
        trim=options.t,
        options={"nul_bytes": "strip" if options.strip_nul else "fail"},
    )


def _printable_type(data_type: DataType) -> DataType:
    """Return text for dates and times, so that they are printed as the source writes them, else the type itself."""
    return DataType(kind=Kind.TEXT) if data_type.kind in _DATES_AND_TIMES else data_type


def _match_columns(source_columns: Sequence[ColumnInfo], table: TableInfo) -> tuple[Column, ...]:
    """Match by name if the table has every name of the query, else by position if both have as many columns."""
    by_name = [table.column(column.name) for column in source_columns]
    # generated columns cannot be written
    by_position = [column for column in table.columns if not column.generated]
    if None in by_name and len(source_columns) != len(by_position):
        missing = source_columns[by_name.index(None)].name
        raise ColumnMissing(
            f"The table {table.name} has no column “{missing}”, and not as many columns as the query.",
            hint="Name the query's columns as the table's, or return one for each of them in order.",
        )
    dest_columns = [column for column in by_name if column] if None not in by_name else by_position
    return tuple(
        Column(
            dest_name=dest.name, dest_type=dest.native_type, source_type=source.native_type, data_type=dest.data_type
        )
        for source, dest in zip(source_columns, dest_columns, strict=True)
    )


def _map_columns(
    source_columns: Sequence[ColumnInfo], source: ConnectionParameters, *, session: Session, connector: Connector
) -> tuple[Column, ...]:
    columns = []
    for column in source_columns:
        native = _native_type(column, source, session=session, connector=connector)
        columns.append(
            Column(
                dest_name=column.name,
                dest_type=native,
                source_type=column.native_type,
                data_type=connector.datatypes.parse(native),
            )
        )
    return tuple(columns)


def _native_type(column: ColumnInfo, source: ConnectionParameters, *, session: Session, connector: Connector) -> str:
    """Return the destination's type: the source's own if both systems are of one kind and the destination has it."""
    render = connector.datatypes.render
    if source.kind != connector.kind or not is_type(column.native_type):
        return render(column.data_type).native
    known = column.data_type.kind is not Kind.NATIVE or connector.introspector.has_type(session, column.native_type)
    return column.native_type if known else render(DataType(kind=Kind.TEXT)).native


def _create_table(session: Session, dialect: Dialect, table: TableName, columns: Sequence[Column]) -> None:
    if not isinstance(dialect, PublishingDialect):
        raise NotSupported(f"Tables cannot be created in {dialect.name}.", hint="Create it, then run again.")
    with session.transaction():
        if table.schema and (schema := dialect.create_schema(table.schema)):
            session.execute(schema)
        session.execute(dialect.create_table(table, [(column.dest_name, column.dest_type) for column in columns]))

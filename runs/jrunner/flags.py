"""Makes a job of command line flags: asks both systems for their columns, and creates a missing destination table."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from connections import registry
from connections.sdk.capabilities import Cap
from connections.sdk.errors import ColumnMissing, ConfigurationInvalid, NotSupported, SecretMissing
from connections.sdk.files import protection
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Connector, Session
from connections.sdk.schema import Column, ColumnInfo, TableInfo, TableName
from connections.sdk.sql.dialect import Dialect
from connections.sdk.sql.publishing import PublishingDialect
from connections.sdk.sql.statement import statement
from connections.sdk.sql.type_grammar import is_type
from connections.sdk.sql.types import DataType, Kind
from connections.url import jdbc
from runs.jrunner import install
from runs.jrunner.job import Job

_WRITTEN = frozenset({Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})


def protect() -> None:
    """Make connections of this process refuse what is Pipekit's own. Raises Protected when that cannot be told."""
    protection.configure(install.protection())


def source_of(flags: argparse.Namespace) -> ConnectionParameters:
    return _parameters(flags.scu, flags.scn, flags.scp, "source")


def destination_of(flags: argparse.Namespace) -> ConnectionParameters:
    # a destination file may be new
    return _parameters(flags.dcu, flags.dcn, flags.dcp, "destination", create=True)


def _parameters(url: str, username: str, password: str, name: str, *, create: bool = False) -> ConnectionParameters:
    return ConnectionParameters(
        kind=jdbc.kind_of(url),
        url=url,
        username=username,
        password=_secret(password, name),
        options={"create": True} if create else {},
        name=name,
    )


def _secret(given: str, name: str) -> str:
    """Return the password that a flag means: ``-`` the next line of standard input, ``$NAME`` the environment's."""
    if given == "-":
        return (
            getpass.getpass(f"password of the {name}: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
        )
    if given.startswith("$"):
        if given[1:] not in os.environ:
            raise SecretMissing(
                f"The environment has no {given[1:]}.", hint=f"Set it, or give the {name} password by -."
            )
        return os.environ[given[1:]]
    return given


def query_of(flags: argparse.Namespace) -> str:
    try:
        return Path(flags.sq).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationInvalid(
            f"The query file {flags.sq} cannot be read.", hint="-sq names a UTF-8 text file.", detail=str(error)
        ) from None


def described(source: ConnectionParameters, query: str) -> tuple[ColumnInfo, ...]:
    """Return the columns of the query as its system describes them."""
    connector = registry.connector(source.kind, Cap.READ)
    with closing(connector.connect(source)) as session:
        return connector.introspector.describe_query(session, statement(query))


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A job, and the table that was made for it: taken away again when the job fails."""

    job: Job
    created: bool

    def undo(self) -> None:
        if self.created:
            with closing(registry.connector(self.job.destination.kind).connect(self.job.destination)) as session:
                dialect = registry.dialect_for(self.job.destination)
                session.execute(f"DROP TABLE {dialect.qualified(self.job.table)}")


def job_of(flags: argparse.Namespace, source: ConnectionParameters, destination: ConnectionParameters) -> Made:
    """Return the job; a destination table that does not exist is created from the mapped types."""
    query = query_of(flags)
    found = described(source, query)
    table = TableName.parse(flags.dt)
    connector = registry.connector(destination.kind, Cap.WRITE)
    with closing(connector.connect(destination)) as session:
        existing = connector.introspector.describe_table(session, table)
        if existing is None:
            columns = _mapped(found, source, session=session, connector=connector)
            _create(session, registry.dialect_for(destination), table, columns)
        else:
            columns = _matched(found, existing)
    job = Job(
        source=source,
        query=query,
        destination=destination,
        table=table,
        columns=columns,
        clear=flags.c,
        trim=flags.t,
        options={"nul_bytes": "strip" if flags.strip_nul else "fail"},
    )
    return Made(job=job, created=existing is None)


def printing_job_of(flags: argparse.Namespace, source: ConnectionParameters) -> Job:
    """Return a job whose columns are what the source has; its destination is not used."""
    query = query_of(flags)
    columns = tuple(
        Column(dest_name=column.name, dest_type=column.native_type, data_type=_printable(column.data_type))
        for column in described(source, query)
    )
    options = {"nul_bytes": "strip" if flags.strip_nul else "fail"}
    return Job(
        source=source,
        query=query,
        destination=ConnectionParameters(kind="", url=""),
        table=TableName("", "standard output"),
        columns=columns,
        trim=flags.t,
        options=options,
    )


def _printable(data_type: DataType) -> DataType:
    """Dates and times are printed as the source writes them: text needs no calendar in between."""
    return DataType(kind=Kind.TEXT) if data_type.kind in _WRITTEN else data_type


def _matched(found: Sequence[ColumnInfo], table: TableInfo) -> tuple[Column, ...]:
    """Match by name where the table has every name of the query, by position where both have as many columns."""
    named = [table.column(column.name) for column in found]
    # what the table computes takes no values
    places = [column for column in table.columns if not column.generated]
    if None in named and len(found) != len(places):
        missing = found[named.index(None)].name
        raise ColumnMissing(
            f"The table {table.name} has no column “{missing}”, and not as many columns as the query.",
            hint="Name the query's columns as the table's, or return one for each of them in order.",
        )
    wanted = [column for column in named if column] if None not in named else places
    return tuple(
        Column(dest_name=want.name, dest_type=want.native_type, source_type=have.native_type, data_type=want.data_type)
        for have, want in zip(found, wanted, strict=True)
    )


def _mapped(
    found: Sequence[ColumnInfo], source: ConnectionParameters, *, session: Session, connector: Connector
) -> tuple[Column, ...]:
    columns = []
    for column in found:
        native = _native(column, source, session=session, connector=connector)
        columns.append(
            Column(
                dest_name=column.name,
                dest_type=native,
                source_type=column.native_type,
                data_type=connector.datatypes.parse(native),
            )
        )
    return tuple(columns)


def _native(column: ColumnInfo, source: ConnectionParameters, *, session: Session, connector: Connector) -> str:
    """Return the source's own type where the destination is of the same kind and knows it."""
    render = connector.datatypes.render
    if source.kind != connector.kind or not is_type(column.native_type):
        return render(column.data_type).native
    known = column.data_type.kind is not Kind.NATIVE or connector.introspector.has_type(session, column.native_type)
    return column.native_type if known else render(DataType(kind=Kind.TEXT)).native


def _create(session: Session, dialect: Dialect, table: TableName, columns: Sequence[Column]) -> None:
    if not isinstance(dialect, PublishingDialect):
        raise NotSupported(f"Tables cannot be created in {dialect.name}.", hint="Create it, then run again.")
    with session.transaction():
        if table.schema and (schema := dialect.create_schema(table.schema)):
            session.execute(schema)
        session.execute(dialect.create_table(table, [(column.dest_name, column.dest_type) for column in columns]))

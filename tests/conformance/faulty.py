"""Variants of SQLite's connector, each with a fault that the conformance suite must detect."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from connections.connectors.sqlite.dialect import SqliteDialect
from connections.sdk.capabilities import Cap
from connections.sdk.errors import PipekitError, QueryInvalid
from connections.sdk.files.protection import Protection
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.sql.row_identity import Names
from connections.sdk.testing.case import CANARY, ConnectorUnderTest
from connections.sdk.testing.workbench import MemoryBatches
from tests.conformance.faulty_batches import (
    SQLITE,
    EmptyTextsAsNull,
    FaultyReader,
    Proxy,
    TruncatedTexts,
    WithoutErrors,
    WithoutLastBatch,
)


class BatchByBatch(Proxy):
    """A writer that commits after each batch."""

    def write(self, target: Any, batches: Any) -> int:
        written = 0
        for batch in batches:
            one = MemoryBatches(batches.schema, [batch])
            written += self.real.write(target, one)
        return written


class WithoutOption(Proxy):
    """A writer that ignores an option of the target."""

    replaced: Mapping[str, Any] = {}

    def write(self, target: Any, batches: Any) -> int:
        written: int = self.real.write(replace(target, **self.replaced), batches)
        return written


class WithoutClear(WithoutOption):
    replaced = {"clear": False}


class WithoutClaim(WithoutOption):
    replaced = {"claim": None}


class NeverClosed(Proxy):
    """A session that close() does not close."""

    kept: list[Any] = []

    def close(self) -> None:
        self.kept.append(self.real)


class SlowlyCancelled(Proxy):
    """A session whose cancel() comes seconds too late."""

    def cancel(self) -> None:
        threading.Timer(2, self.real.cancel).start()


class WritingReadOnly(Proxy):
    """A session whose read-only queries may write."""

    def fetch_read_only(self, query: str) -> Any:
        rows = self.real.fetch(query)
        return rows[0] if rows else None


class SameErrorCode(Proxy):
    """A session that reports every error as an invalid query."""

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        try:
            return self.real.fetch(sql, parameters)
        except PipekitError as error:
            raise QueryInvalid(error.message, hint=error.hint) from error


class PasswordInErrors(Proxy):
    """A session whose errors contain the password."""

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        try:
            return self.real.execute(sql, parameters)
        except PipekitError as error:
            error.detail = f"connected with {CANARY}"
            raise


class LowerCaseNames(Proxy):
    """An introspector that reports the names of columns in lower case."""

    def describe_table(self, session: Any, table: Any) -> Any:
        info = self.real.describe_table(session, table)
        return info and replace(info, columns=tuple(replace(c, name=c.name.lower()) for c in info.columns))


class UnescapedQuotes(SqliteDialect):
    """A dialect that does not escape quotes in names."""

    def quote(self, identifier: str) -> str:
        return f'"{identifier}"'


class NullsDiffer(SqliteDialect):
    """A dialect in which two keys with NULL are never equal."""

    def same_key(self, key: Names, target: str, staged: str, *, null_safe: bool) -> str:
        return super().same_key(key, target, staged, null_safe=False)


class FaultyConnector(Proxy):
    """SQLite's connector with some parts replaced."""

    def __init__(self, session: type[Proxy] | None = None, **parts: Any) -> None:
        super().__init__(SQLITE)
        self.session = session
        vars(self).update(parts)

    def connect(self, parameters: ConnectionParameters) -> Any:
        session = SQLITE.connect(parameters)
        return self.session(session) if self.session else session


# the connector of each fault, and the test that must fail for it
FAULTS: dict[str, tuple[FaultyConnector, str]] = {
    "truncates texts": (FaultyConnector(reader=FaultyReader(TruncatedTexts)), "test_every_value_is_read_exactly"),
    "reads empty texts as NULL": (
        FaultyConnector(reader=FaultyReader(EmptyTextsAsNull)),
        "test_every_value_is_read_exactly",
    ),
    "loses the last batch": (
        FaultyConnector(reader=FaultyReader(WithoutLastBatch)),
        "test_batches_have_the_requested_size",
    ),
    "reads all rows in one batch": (
        FaultyConnector(reader=FaultyReader(batch_bytes=1 << 30)),
        "test_batches_have_the_requested_size",
    ),
    "ends a failed read without an error": (
        FaultyConnector(reader=FaultyReader(WithoutErrors)),
        "test_an_error_in_a_late_row_reaches_the_consumer",
    ),
    "commits each batch": (
        FaultyConnector(writer=BatchByBatch(SQLITE.writer)),
        "test_an_error_of_the_source_writes_no_rows",
    ),
    "does not clear the table": (
        FaultyConnector(writer=WithoutClear(SQLITE.writer)),
        "test_rows_are_appended_or_replace_existing_rows",
    ),
    "ignores the claim": (
        FaultyConnector(writer=WithoutClaim(SQLITE.writer)),
        "test_only_the_run_that_holds_the_claim_writes",
    ),
    "does not close sessions": (FaultyConnector(NeverClosed), "test_sessions_can_be_opened_repeatedly"),
    "cancels too late": (FaultyConnector(SlowlyCancelled), "test_a_running_statement_is_cancelled"),
    "lets read-only queries write": (FaultyConnector(WritingReadOnly), "test_a_read_only_query_cannot_write"),
    "has the same error code for all errors": (
        FaultyConnector(SameErrorCode),
        "test_a_missing_table_is_reported_as_table_missing",
    ),
    "shows the password in errors": (FaultyConnector(PasswordInErrors), "test_bad_sql_is_reported_as_query_invalid"),
    "reports names in lower case": (
        FaultyConnector(introspector=LowerCaseNames(SQLITE.introspector)),
        "test_columns_may_have_any_names",
    ),
    "does not escape quotes in names": (
        FaultyConnector(dialect=UnescapedQuotes()),
        "test_quoting_preserves_a_name",
    ),
    "compares NULLs by equality": (
        FaultyConnector(dialect=NullsDiffer()),
        "test_a_publish_produces_the_expected_rows",
    ),
    "lists a capability that it does not have": (
        FaultyConnector(writer=None),
        "test_capabilities_match_the_methods",
    ),
    "has other capabilities than its manifest": (
        FaultyConnector(capabilities=SQLITE.capabilities & ~Cap.DISCOVER),
        "test_capabilities_match_the_manifest",
    ),
}


def case(fault: str, directory: Path) -> ConnectorUnderTest:
    """Return the connector with this fault, or without one if the name is empty."""
    parameters = ConnectionParameters(
        kind="sqlite",
        url=f"jdbc:sqlite:{directory / 'faulty.db'}",
        password=CANARY,
        options={"create": True},
        name="erp",
        protection=Protection(),
    )
    connector: Any = FAULTS[fault][0] if fault else SQLITE
    return ConnectorUnderTest(
        parameters=parameters,
        connector=connector,
        disposable=True,
        lacks=frozenset({"nan", "signed_zero"}),
        case_sensitive=False,
        cancel_seconds=1,
    )

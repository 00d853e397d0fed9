"""SQL text of one kind of system: quoting, literals, placing. A dialect makes text and never connects.

The class answers as standard SQL does; a connector's ``dialect.py`` overrides what its system does otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, Self

from connections.sdk.errors import ConfigurationInvalid, DataError
from connections.sdk.schema import TableName
from connections.sdk.sql.temporal import fitted
from connections.sdk.sql.types import DataType, Kind

if TYPE_CHECKING:
    from connections.sdk.parameters import ConnectionParameters

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_TYPED = {
    Kind.DATE: re.compile(r"[+-]?\d{4,6}-\d\d-\d\d", re.ASCII),
    Kind.TIME: re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,12})?)?", re.ASCII),
    Kind.TIMESTAMP: re.compile(r"[+-]?\d{4,6}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,12})?)?", re.ASCII),
    Kind.TIMESTAMPTZ: re.compile(
        r"[+-]?\d{4,6}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,12})?)?([+-]\d\d(:?\d\d)?|Z)?", re.ASCII
    ),
}


class Dialect:
    """Standard SQL. ``name`` is the driver kind; ``sqlglot`` the dialect whose tokenizer reads its query text."""

    name = "ansi"
    sqlglot = ""
    # the character pair around an identifier; the closing one is doubled inside
    quotes = ('"', '"')
    # how long an identifier may be, in bytes (UTF-8) or in characters (UTF-16 units, which is how those systems count)
    max_identifier = 128
    identifier_unit: Literal["bytes", "characters"] = "bytes"
    # how a driver's parameter is written in control SQL
    placeholder = "?"
    # whether an unquoted name folds to upper case (DB2, Oracle), lower case (PostgreSQL) or stays
    folds_to: str = "upper"
    # schemas a table lands in when none is named
    default_schema = ""
    # whether a backslash inside '...' is an escape
    backslash_escapes = False
    # names that the system has for something of its own in every table
    system_columns: frozenset[str] = frozenset()

    def for_connection(self, parameters: ConnectionParameters) -> Self:
        """Return the dialect for SQL to this connection, where names depend on what is connected to."""
        return self

    def quote(self, identifier: str) -> str:
        """Return the identifier quoted exactly as given.

        Raises ConfigurationInvalid when it is empty, holds a NUL or is longer than the system allows.
        """
        if not identifier:
            raise ConfigurationInvalid(
                "A table or column has an empty name.",
                hint="Name every column of the query, with an alias for one that has no name: SELECT a AS a, b AS b.",
            )
        if re.search("[\0\ud800-\udfff]", identifier):
            raise ConfigurationInvalid(
                f"{identifier!r} cannot be a name in {self.name}.", hint="Give it a name without NUL bytes."
            )
        in_bytes = self.identifier_unit == "bytes"
        length = len(identifier.encode()) if in_bytes else len(identifier.encode("utf-16-le")) // 2
        if length > self.max_identifier:
            raise ConfigurationInvalid(
                f"The name “{identifier}” has {length} {self.identifier_unit}; "
                f"{self.name} allows {self.max_identifier}.",
                hint="Choose a shorter name: systems cut long ones silently, and two could become one.",
            )
        opening, closing = self.quotes
        return opening + identifier.replace(closing, closing * 2) + closing

    def qualified(self, table: TableName) -> str:
        """Return ``schema.table``, each part quoted; the schema is left out when empty."""
        return ".".join(self.quote(part) for part in (table.schema, table.table) if part)

    def columns(self, names: tuple[str, ...] | list[str], *, prefix: str = "") -> str:
        """Return a comma-separated list of quoted names, each after ``prefix`` (such as ``s.``)."""
        return ", ".join(prefix + self.quote(name) for name in names)

    def check_columns(self, names: Iterable[str]) -> None:
        """Raise ConfigurationInvalid for a name that no column of a table can have."""
        if taken := [name for name in names if name in self.system_columns]:
            raise ConfigurationInvalid(
                f"No column can be called “{taken[0]}” in {self.name}: every table has a system column of that name.",
                hint=f"Give the column another alias in the query, such as AS {taken[0]}_.",
            )

    def string(self, text: str) -> str:
        """Return a string literal. Raises DataError on a NUL byte, which no literal can hold."""
        if "\0" in text:
            raise DataError("A value with a NUL byte cannot be written as SQL text.", hint="Clean the value first.")
        if self.backslash_escapes:
            text = text.replace("\\", "\\\\")
        return "'" + text.replace("'", "''") + "'"

    def concatenated(self, left: str, right: str) -> str:
        """Return the expression that joins two texts."""
        return f"{left} || {right}"

    def literal(self, value: str, data_type: DataType) -> str:
        """Return ``value`` (its exact text, ISO form for dates and times) as a typed literal.

        Nothing is rounded; text that is not of the type raises DataError instead of reaching the SQL.
        """
        kind = data_type.kind
        if data_type.is_numeric:
            if not _NUMBER.fullmatch(value):
                raise DataError(f"“{value}” is not a number.", hint="The watermark of a numeric column must be one.")
            return value
        if kind in _TYPED:
            # as it was read where that will do: systems that keep dates as text compare the spelling
            value = value if _TYPED[kind].fullmatch(value) else fitted(value, kind)
            if not _TYPED[kind].fullmatch(value):
                raise DataError(f"“{value}” is not a {kind.value}.", hint="Expected ISO form, as 2026-01-31 23:59:59.")
            return self.temporal(value, data_type)
        return self.string(value)

    def own_literal(self, value: str, data_type: DataType) -> str:
        """Return the text as a value of a type that only this system knows, to be compared with a column of it."""
        return self.string(value)

    def compares_as_text(self, data_type: DataType) -> bool:
        """Whether the system compares values of the type by their spelling, not by what they mean."""
        return data_type.kind is Kind.TEXT

    def may_hold_numbers(self, data_type: DataType) -> bool:
        """Whether a column that compares as text may hold numbers too, which then sort before all texts."""
        return False

    def temporal(self, value: str, data_type: DataType) -> str:
        """Return a checked date, time or timestamp text as a literal (standard: ``TIMESTAMP '...'``)."""
        words = {Kind.DATE: "DATE", Kind.TIME: "TIME", Kind.TIMESTAMP: "TIMESTAMP"}
        return f"{words.get(data_type.kind, 'TIMESTAMP WITH TIME ZONE')} {self.string(value.replace('T', ' '))}"

"""Generation of SQL text for one kind of system: identifiers and literals. A dialect never connects.

`Dialect` implements standard SQL; the ``dialect.py`` of a connector overrides what differs in its system.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, Self

from connections.sdk.errors import ConfigurationInvalid, DataError
from connections.sdk.schema import TableName
from connections.sdk.sql.grammar import UNKNOWN
from connections.sdk.sql.watermark_timestamps import converted_to
from connections.sdk.types import DataType, Kind

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
    """Standard SQL. ``name`` is the connector's kind, ``grammar`` what differs in the text of its queries."""

    name = "ansi"
    grammar = UNKNOWN
    # opening and closing quote of an identifier; the closing one is doubled inside the identifier
    quotes = ('"', '"')
    # maximum length of an identifier, in UTF-8 bytes or in UTF-16 code units ("characters")
    max_identifier = 128
    identifier_unit: Literal["bytes", "characters"] = "bytes"
    # placeholder for a parameter in control SQL
    placeholder = "?"
    # case to which unquoted names are folded: "upper" (DB2, Oracle), "lower" (PostgreSQL) or "" (unchanged)
    folds_to: str = "upper"
    # schema of a table that is named without one
    default_schema = ""
    # whether a backslash is an escape character inside '...'
    backslash_escapes = False
    # collations that ignore case do so for ASCII letters only
    folds_ascii_only = False
    # columns of floating-point numbers keep the sign of zero
    keeps_signed_zero = True
    # names of the system columns that every table has
    system_columns: frozenset[str] = frozenset()

    def for_connection(self, parameters: ConnectionParameters) -> Self:
        """Return the dialect for one connection, for systems in which names depend on the connection."""
        return self

    def quote(self, identifier: str) -> str:
        """Return the identifier in quotes, with its case unchanged.

        Raises ConfigurationInvalid when it is empty, contains a NUL byte or half of a character, or is longer than the
        system allows.
        """
        if not identifier:
            raise ConfigurationInvalid(
                "A table or column has an empty name.",
                hint="Name every column of the query, with an alias for one that has no name: SELECT a AS a, b AS b.",
            )
        if unusable := re.search("[\0\ud800-\udfff]", identifier):
            what = "NUL bytes" if unusable[0] == "\0" else "surrogates, which are halves of characters"
            raise ConfigurationInvalid(
                f"{identifier!r} cannot be a name in {self.name}.", hint=f"Give it a name without {what}."
            )
        in_bytes = self.identifier_unit == "bytes"
        length = len(identifier.encode()) if in_bytes else len(identifier.encode("utf-16-le")) // 2
        if length > self.max_identifier:
            raise ConfigurationInvalid(
                f"The name “{identifier}” has {length} {self.identifier_unit}; "
                f"{self.name} allows {self.max_identifier}.",
                hint="Choose a shorter name: the system would truncate it, and two names could become the same.",
            )
        opening, closing = self.quotes
        return opening + identifier.replace(closing, closing * 2) + closing

    def qualified(self, table: TableName) -> str:
        """Return ``schema.table`` with each part quoted, or only the table when the schema is empty."""
        return ".".join(self.quote(part) for part in (table.schema, table.table) if part)

    def table_key(self, table: TableName) -> str:
        """Return a text that all names of one table share: its schema is named, and its case only if that counts."""
        text = str(TableName(table.schema or self.default_schema, table.table))
        # a dialect that does not fold names compares them without case
        return text if self.folds_to else text.casefold()

    def columns(self, names: tuple[str, ...] | list[str], *, prefix: str = "") -> str:
        """Return a comma-separated list of quoted names, each preceded by ``prefix`` (such as ``s.``)."""
        return ", ".join(prefix + self.quote(name) for name in names)

    def check_columns(self, names: Iterable[str]) -> None:
        """Raise ConfigurationInvalid if a name is that of a system column."""
        if taken := [name for name in names if name in self.system_columns]:
            raise ConfigurationInvalid(
                f"No column can be called “{taken[0]}” in {self.name}: every table has a system column of that name.",
                hint=f"Give the column another alias in the query, such as AS {taken[0]}_.",
            )

    def string(self, text: str) -> str:
        """Return a string literal. Raises DataError for text with a NUL byte."""
        if "\0" in text:
            raise DataError("A value with a NUL byte cannot be written as SQL text.", hint="Remove the NUL byte.")
        if self.backslash_escapes:
            text = text.replace("\\", "\\\\")
        return "'" + text.replace("'", "''") + "'"

    def concatenated(self, left: str, right: str) -> str:
        """Return an expression that concatenates two text expressions."""
        return f"{left} || {right}"

    def literal(self, value: str, data_type: DataType) -> str:
        """Return ``value`` as a typed literal, without rounding. Dates and times are expected in ISO form.

        Raises DataError for text that is not a value of the type, so that no other text gets into the SQL.
        """
        kind = data_type.kind
        if data_type.is_numeric:
            if not _NUMBER.fullmatch(value):
                raise DataError(f"“{value}” is not a number.", hint="The watermark of a numeric column must be one.")
            return value
        if kind in _TYPED:
            # keep the text unchanged if possible: systems that store dates as text compare the text
            value = value if _TYPED[kind].fullmatch(value) else converted_to(value, kind)
            if not _TYPED[kind].fullmatch(value):
                raise DataError(f"“{value}” is not a {kind.value}.", hint="Use ISO form, such as 2026-01-31 23:59:59.")
            return self.temporal(value, data_type)
        return self.string(value)

    def own_literal(self, value: str, data_type: DataType) -> str:
        """Return ``value`` as a literal to compare with a column whose type is specific to this system (NATIVE)."""
        return self.string(value)

    def compares_as_text(self, data_type: DataType) -> bool:
        """Return whether the system compares values of the type as text."""
        return data_type.kind is Kind.TEXT

    def may_hold_numbers(self, data_type: DataType) -> bool:
        """Return whether a column that is compared as text may also contain numbers, which sort before all texts."""
        return False

    def temporal(self, value: str, data_type: DataType) -> str:
        """Return a date, time or timestamp that `literal` has validated as a literal, such as ``TIMESTAMP '...'``."""
        words = {Kind.DATE: "DATE", Kind.TIME: "TIME", Kind.TIMESTAMP: "TIMESTAMP"}
        return f"{words.get(data_type.kind, 'TIMESTAMP WITH TIME ZONE')} {self.string(value.replace('T', ' '))}"

"""Value types for tables and columns. Schema and table are separate strings everywhere."""

from __future__ import annotations

import unicodedata
from dataclasses import field
from typing import Any

from connections.sdk.errors import ConfigurationInvalid
from connections.sdk.records import dataclass
from connections.sdk.types import DataType

# what the name of a module's table of keys has after the module's name, in which there is no `#`
KEYS_SUFFIX = "#keys"


@dataclass(frozen=True, slots=True)
class TableName:
    """The name of a table; both parts are spelled exactly as in the system's catalogue, without quotes.

    ``schema`` is empty for the default schema, and where the system has no schemas.
    """

    schema: str
    table: str

    @classmethod
    def parse(cls, text: str) -> TableName:
        """Return the name written as ``schema.table``, ``table`` or ``"my schema"."my.table"`` (quotes are doubled).

        Raises ConfigurationInvalid when there are more than two parts, an empty part or an unclosed quote.
        """
        parts = _split_quoted(text)
        if len(parts) > 2 or not all(parts):
            raise ConfigurationInvalid(
                f"“{text}” is not a table name.",
                hint='Write schema.table; put a name that contains a dot or a quote in double quotes: "my.table".',
            )
        return cls("", parts[0]) if len(parts) == 1 else cls(parts[0], parts[1])

    def __str__(self) -> str:
        return ".".join(_quote_if_needed(part) for part in (self.schema, self.table) if part)


def bare_name(text: str) -> str:
    """Return a name in a form in which similar names are equal.

    Lower case, Unicode normalized (NFC), without surrounding blanks, quotes and brackets.
    """
    composed = unicodedata.normalize("NFC", text).lower()
    return composed.translate(dict.fromkeys(map(ord, '[]"`'))).strip()


def _quote_if_needed(part: str) -> str:
    if "." in part or '"' in part or part != part.strip():
        return '"' + part.replace('"', '""') + '"'
    return part


def _split_quoted(text: str) -> list[str]:
    parts: list[str] = [""]
    quoted, position = False, 0
    while position < len(text):
        char = text[position]
        if char == '"' and quoted and text[position + 1 : position + 2] == '"':
            parts[-1] += '"'
            position += 1
        elif char == '"' and (quoted or not parts[-1]):
            quoted = not quoted
        elif char == "." and not quoted:
            parts.append("")
        else:
            parts[-1] += char
        position += 1
    return [""] if quoted else [part if '"' in text else part.strip() for part in parts]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnInfo:
    """A column of a table or of a query's result, as described by the system.

    ``native_type`` is the system's spelling of the type (``numeric(10,2)``, ``CHAR(10)``), ``data_type`` its meaning.
    """

    name: str
    native_type: str
    data_type: DataType
    nullable: bool = True
    # False for an expression without a declared type; data_type is then inferred from rows, or UNKNOWN
    declared: bool = True
    # the collation as SQL text, if different texts are equal under it (NOCASE); otherwise empty
    collation: str = ""
    # GENERATED ALWAYS AS (...): no statement may write it
    generated: bool = False
    # GENERATED ... AS IDENTITY: "always" or "by default"; empty for other columns
    identity: str = ""
    # the default expression, or the expression of a generated column; empty for none
    default: str = ""


# the statements that a table accepts; a view may accept fewer
ALL_CHANGES = frozenset({"insert", "update", "delete", "truncate"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TableInfo:
    """The description of an existing table: its columns by position, its primary key and unique keys (column tuples).

    A unique key may contain NULL several times; code that relies on uniqueness must check for NULLs first.
    """

    name: TableName
    columns: tuple[ColumnInfo, ...]
    primary_key: tuple[str, ...] = ()
    unique_keys: tuple[tuple[str, ...], ...] = ()
    # unique indexes with other collations than their columns, as pairs of column and collation
    collated_keys: tuple[tuple[tuple[str, str], ...], ...] = ()
    # columns for which the system generates a number when NULL is inserted
    autonumbered: tuple[str, ...] = ()
    description: str = ""
    # as the system calls it: table, view, materialized view, ...
    kind: str = "table"
    # the statements that it accepts
    accepts: frozenset[str] = ALL_CHANGES
    # triggers, or the tables below a view, may set columns that an INSERT does not name
    may_fill: bool = False
    # its rows do not survive a crash of the server, as those of a staging table need not
    unlogged: bool = False

    def column(self, name: str) -> ColumnInfo | None:
        """Return the column of this name, or None."""
        return next((column for column in self.columns if column.name == name), None)

    def key_collations(self, key: tuple[str, ...]) -> dict[str, str]:
        """Return the collations, by column, under which different texts are equal as values of ``key``.

        The collations of a unique index on exactly these columns take precedence over those of the columns.
        """
        collations = {c.name: c.collation for c in self.columns if c.name in key and c.collation}
        for pairs in self.collated_keys:
            if {name for name, _ in pairs} == set(key):
                collations |= {name: collation for name, collation in pairs if collation}
        return collations


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a module: its name and expression in the source, its name and type in the destination.

    SQL for the source uses only ``source_expression``; staging, merge SQL, merge keys and watermark columns use only
    ``dest_name``. ``trim`` means that the source query trims the column.
    """

    dest_name: str
    dest_type: str
    source_name: str = ""
    source_expression: str = ""
    source_type: str = ""
    trim: bool = False
    data_type: DataType = field(default_factory=lambda: DataType.unknown())
    # for a key column: the collation with which the destination compares keys, see `TableInfo.key_collations`
    collation: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the form in which a module stores the column."""
        return {
            "source_name": self.source_name,
            "source_expression": self.source_expression,
            "source_type": self.source_type,
            "dest_name": self.dest_name,
            "dest_type": self.dest_type,
            "trim": self.trim,
        }

"""Tables and columns as values. Schema and table are never one string."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Any

from connections.sdk.errors import ConfigurationInvalid
from connections.sdk.sql.types import DataType


@dataclass(frozen=True, slots=True)
class TableName:
    """A table by schema and name, both exactly as the system spells them (unquoted, unfolded).

    ``schema`` is empty where the system has none or its default is meant.
    """

    schema: str
    table: str

    @classmethod
    def parse(cls, text: str) -> TableName:
        """Read ``schema.table``, ``table`` or ``"my schema"."my.table"`` (double quotes, doubled inside).

        Raises ConfigurationInvalid when there are more than two parts, an empty part or an open quote.
        """
        parts = _split_quoted(text)
        if len(parts) > 2 or not all(parts):
            raise ConfigurationInvalid(
                f"“{text}” is not a table name.",
                hint='Write schema.table; a name with a dot or a quote in it in double quotes: "my.schema"."my table".',
            )
        return cls("", parts[0]) if len(parts) == 1 else cls(parts[0], parts[1])

    def __str__(self) -> str:
        return ".".join(_quote_if_needed(part) for part in (self.schema, self.table) if part)


def bare_name(text: str) -> str:
    """Return what people read in a name: in lower case, letters composed (NFC), no blanks around it, and without the
    quotes and brackets that other systems write around names.
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
    """One column as a system describes it, of a table or of a query's result.

    ``native_type`` is the system's own spelling (``numeric(10,2)``, ``CHAR(10)``), ``data_type`` its meaning.
    """

    name: str
    native_type: str
    data_type: DataType
    nullable: bool = True
    # expression columns have no declared type; then data_type is a guess or UNKNOWN
    declared: bool = True
    # the collation, as SQL text, where it makes texts equal that differ (NOCASE); otherwise empty
    collation: str = ""
    # the table computes it (GENERATED ALWAYS AS): no statement may write it
    generated: bool = False
    # numbered by the table: "always" takes values only where the statement insists, "by default" takes them
    identity: str = ""
    # the expression that a new row gets, or by which a generated column is computed; empty = NULL
    default: str = ""


# what can be done to a table; a view may take fewer
ALL_CHANGES = frozenset({"insert", "update", "delete", "truncate"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TableInfo:
    """One existing table: its columns by position, its primary key and every unique key (column tuples).

    A unique key may still hold NULLs more than once; whoever relies on it checks for NULLs first.
    """

    name: TableName
    columns: tuple[ColumnInfo, ...]
    primary_key: tuple[str, ...] = ()
    unique_keys: tuple[tuple[str, ...], ...] = ()
    # unique indexes that compare by other collations than their columns: pairs of column and collation
    collated_keys: tuple[tuple[tuple[str, str], ...], ...] = ()
    # columns that take a number of the system's own where NULL is written
    autonumbered: tuple[str, ...] = ()
    description: str = ""
    # in the system's words: table, view, materialized view, ...
    kind: str = "table"
    # what a statement can do to it
    accepts: frozenset[str] = ALL_CHANGES
    # triggers, or what is below a view, may give a new row values that no statement names
    may_fill: bool = False

    def column(self, name: str) -> ColumnInfo | None:
        return next((column for column in self.columns if column.name == name), None)

    def key_collations(self, key: tuple[str, ...]) -> dict[str, str]:
        """Return the collations by which the table compares keys, by column, where texts that differ can be equal.

        A unique index on just these columns decides; without one the columns do.
        """
        found = {column.name: column.collation for column in self.columns if column.name in key and column.collation}
        for pairs in self.collated_keys:
            if {name for name, _ in pairs} == set(key):
                found |= {name: collation for name, collation in pairs if collation}
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column on its way: source name and expression on one side, destination name and type on the other.

    ``source_expression`` is the only form allowed in SQL sent to the source, ``dest_name`` the only one in
    staging, merge SQL, merge keys and watermark columns. ``trim`` notes that the source query trims it.
    """

    dest_name: str
    dest_type: str
    source_name: str = ""
    source_expression: str = ""
    source_type: str = ""
    trim: bool = False
    data_type: DataType = field(default_factory=lambda: DataType.unknown())
    # of a key column: the collation by which the destination compares keys, see `TableInfo.key_collations`
    collation: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the module's stored form (spec: source_name, source_expression, source_type, ...)."""
        return {
            "source_name": self.source_name,
            "source_expression": self.source_expression,
            "source_type": self.source_type,
            "dest_name": self.dest_name,
            "dest_type": self.dest_type,
            "trim": self.trim,
        }

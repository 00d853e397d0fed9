"""SQL dialect of ClickHouse: `quoted` names, backslash escapes, no transactions, DELETE as a mutation.

Sessions run in UTC. Rows that other systems update are deleted and inserted again; ReplacingMergeTree tables with
``supports_deletes`` off only receive inserts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from connections.sdk.errors import ConfigurationInvalid
from connections.sdk.schema import TableName
from connections.sdk.sql.grammar import Grammar
from connections.sdk.sql.publishing import NO_COLLATIONS, PublishingDialect
from connections.sdk.sql.row_identity import Names
from connections.sdk.sql.watermark_timestamps import Timestamp
from connections.sdk.types import DataType, Kind

_EXACT = re.compile(r"[+-]?\d+(?:\.(\d*))?", re.ASCII)
# combined with suffixes: sumIf, countDistinct, quantileExactWeighted, uniqHLL12, anyLastOrNull, ...
_AGGREGATES = (
    "ANY", "ARGMAX", "ARGMIN", "AVG", "BOUNDINGRATIO", "CORR", "COUNT", "COVAR", "DELTASUM", "ENTROPY", "EXPONENTIAL",
    "FIRST_VALUE", "GROUP", "HISTOGRAM", "INTERVALLENGTHSUM", "KURT", "LARGESTTRIANGLE", "LAST_VALUE", "MANNWHITNEY",
    "MAX", "MEANZTEST", "MEDIAN", "MIN", "QUANTILE", "RANKCORR", "RETENTION", "SEQUENCE", "SINGLEVALUE", "SIMPLELINEAR",
    "SKEW", "SPARKBAR", "STDDEV", "STUDENT", "SUM", "TOPK", "UNIQ", "VARPOP", "VARSAMP", "VARPOPSTABLE", "WELCH",
    "WINDOWFUNNEL", "CRAMERSV", "CATEGORICALINFORMATION", "CONTINGENCY", "THEILSU", "STOCHASTIC", "FLAMEGRAPH",
)  # fmt: skip
_WIDE_INTEGER = re.compile(r"\bU?Int(?:128|256)\b")


class ClickhouseDialect(PublishingDialect):
    name = "clickhouse"
    grammar = Grammar(
        sqlglot="clickhouse",
        line_comments=("--", "//", "#", "#!"),
        unicode_blanks=True,
        clauses=frozenset({"FORMAT", "LIMIT", "QUALIFY", "SETTINGS", "WITH FILL"}),
        from_first=True,
        head_limits=frozenset({"TOP"}),
        with_names_values=True,
        inner_aliases=True,
        aliases_shadow_columns=True,
        trailing_comma=True,
        spreading=frozenset({"COLUMNS", "UNTUPLE", "UNPACK"}),
        user_is_column=True,
        aggregate_prefixes=_AGGREGATES,
    )
    quotes = ("`", "`")
    # names of tables become names of files
    max_identifier = 200
    folds_to = ""
    default_schema = "default"
    backslash_escapes = True
    transactional = False
    has_on_conflict = False
    text_type = "Nullable(String)"

    def quote(self, identifier: str) -> str:
        return super().quote(identifier).replace("\\", "\\\\")

    def literal(self, value: str, data_type: DataType) -> str:
        text = super().literal(value, data_type)
        number = _EXACT.fullmatch(value)
        if data_type.kind in (Kind.REAL, Kind.DOUBLE) or not data_type.is_numeric or number is None:
            return text
        # a literal with a decimal point or of more than 64 bits would be a Float64, which may round it
        if number[1] is not None:
            return f"toDecimal256({self.string(value)}, {len(number[1])})"
        if -(2**63) <= int(value) < 2**64:
            return text
        wide = _WIDE_INTEGER.search(data_type.native)
        return f"to{wide[0] if wide else 'Int256'}({self.string(value)})"

    def temporal(self, value: str, data_type: DataType) -> str:
        kind = data_type.kind
        timestamp = Timestamp.parse(value)
        if kind is Kind.DATE:
            return f"toDate32({self.string(value)})"
        if kind is Kind.TIME or timestamp is None:
            return self.string(value)
        return f"toDateTime64({self.string(timestamp.utc().text(6))}, 6, 'UTC')"

    def create_schema(self, schema: str) -> str:
        return f"CREATE DATABASE IF NOT EXISTS {self.quote(schema)}"

    def create_table(
        self,
        table: TableName,
        columns: list[tuple[str, str]],
        *,
        scratch: bool = False,
        collations: Mapping[str, str] = NO_COLLATIONS,
    ) -> str:
        # no sorting key, because it must not be NULL and cannot be changed later
        return super().create_table(table, columns, collations=collations) + " ENGINE = MergeTree ORDER BY tuple()"

    def create_unique(
        self, table: TableName, columns: Names, *, version: int = 0, named_for: TableName | None = None
    ) -> str:
        return ""

    def create_index(self, table: TableName, column: str, *, named_for: TableName | None = None) -> str:
        # each part has its minimum and maximum
        return ""

    def maximum(self, table: TableName, column: str) -> str:
        # max() of no rows is 0 or 1970-01-01, not NULL
        return f"SELECT toString(maxOrNull({self.quote(column)})) FROM {self.qualified(table)}"

    def empty_table(self, table: TableName, *, truncate: bool = True) -> str:
        return f"TRUNCATE TABLE {self.qualified(table)}"

    def count_matching(self, table: TableName, staging: TableName, key: Names, *, null_safe: bool) -> str:
        matches = self._in(key, table, null_safe=null_safe)
        return f"SELECT count(*) FROM {self.qualified(staging)}\nWHERE {matches}"

    def count_pairs(self, table: TableName, staging: TableName, key: Names, *, null_safe: bool) -> str:
        matches, target = self._in(key, staging, null_safe=null_safe), self.qualified(table)
        matching = self.count_matching(table, staging, key, null_safe=null_safe)
        return f"SELECT ({matching}), (SELECT count(*) FROM {target}\nWHERE {matches})"

    def delete_matching(self, table: TableName, staging: TableName, key: Names, *, null_safe: bool) -> str:
        return f"DELETE FROM {self.qualified(table)}\nWHERE {self._in(key, staging, null_safe=null_safe)}"

    def delete_missing(self, table: TableName, keys: TableName, key: Names) -> str:
        return f"DELETE FROM {self.qualified(table)}\nWHERE NOT ({self._in(key, keys, null_safe=True)})"

    def count_missing(self, table: TableName, keys: TableName, key: Names) -> str:
        return f"SELECT count(*) FROM {self.qualified(table)}\nWHERE NOT ({self._in(key, keys, null_safe=True)})"

    def row_id(self, columns: Names) -> str:
        parts = ("_part", "_part_offset")
        if hidden := [name for name in parts if name in columns]:
            raise ConfigurationInvalid(
                f"keep_latest cannot tell rows apart in clickhouse: the column {hidden[0]} hides their row id.",
                hint="Give this column another alias in the query.",
            )
        return f"({', '.join(parts)})"

    def keep_latest(self, staging: TableName, columns: Names, key: Names, watermark: str) -> str:
        row, mark = self.row_id(columns), self.quote(watermark)
        return (
            f"DELETE FROM {self.qualified(staging)} WHERE {row} NOT IN (\n"
            f"  SELECT _part, _part_offset FROM {self.qualified(staging)} "
            f"ORDER BY {mark} DESC NULLS LAST LIMIT 1 BY {self.columns(key)})"
        )

    def upsert(self, table: TableName, staging: TableName, columns: Names, key: Names) -> str:
        return self.insert_all(table, staging, columns)

    def update_matching(
        self, table: TableName, staging: TableName, columns: Names, key: Names, *, null_safe: bool
    ) -> str:
        """Return the DELETE of the rows that `insert_missing` then inserts with their new values."""
        return self.delete_matching(table, staging, key, null_safe=null_safe)

    def insert_missing(
        self, table: TableName, staging: TableName, columns: Names, key: Names, *, null_safe: bool
    ) -> str:
        return f"{self.insert_all(table, staging, columns)}\nWHERE NOT ({self._in(key, table, null_safe=null_safe)})"

    def _in(self, key: Names, table: TableName, *, null_safe: bool) -> str:
        # not every version supports correlated subqueries
        names = [self.quote(k) for k in key]
        if null_safe:
            names = [f"isNull({n}), assumeNotNull({n})" for n in names]
        keys = ", ".join(names)
        return f"({keys}) IN (SELECT {keys} FROM {self.qualified(table)})"


DIALECT = ClickhouseDialect()

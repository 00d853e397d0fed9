"""Column identity: which source expression stands behind each destination column, derived from the query's text.

Nothing is guessed: what the text does not say for certain is refused with the column and what to write instead.
"""

from __future__ import annotations

from dataclasses import dataclass

from connections.sdk.errors import QueryInvalid
from connections.sdk.sql.dialect import Dialect
from modules.query.aliases import safe_alias
from modules.query.outline import Outline, outline
from modules.query.select_list import Tokens, entry, is_column, is_star, trimmed
from modules.query.tokenizer import Kind, Token
from modules.query.words import is_reserved


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedColumn:
    """One result column.

    ``source_expression`` is a slice of the query with trims taken off, ``predicate_expression`` what a condition in
    the query may compare (a leading trim stays on: it changes the order), ``alias_text`` its name outside.
    """

    dest_name: str
    alias_text: str
    source_expression: str
    predicate_expression: str
    source_name: str = ""
    trim: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryMapping:
    """The query's columns by position; none when ``star``, for then only the source knows their names.

    ``derived`` says that a condition has to stand outside the query, ``why`` what in it asks for that.
    """

    columns: tuple[MappedColumn, ...]
    star: bool = False
    derived: bool = False
    why: str = ""


def map_columns(query: str, dialect: Dialect) -> QueryMapping:
    """Return what each column of the query's result is.

    Raises QueryInvalid when it is not one single SELECT, ColumnUnmapped when a column has no certain name.
    """
    return mapping_of(outline(query, dialect), query, dialect)


def mapping_of(found: Outline, query: str, dialect: Dialect) -> QueryMapping:
    if not found.items or any(is_star(item, dialect) for item in found.items):
        return QueryMapping(columns=(), star=True, derived=True, why=found.why or "*")
    columns = tuple(_column(query, item, number, dialect) for number, item in enumerate(found.items, start=1))
    why = found.why or _hidden(found, columns, dialect)
    return QueryMapping(columns=columns, derived=bool(why), why=why)


def _column(query: str, item: Tokens, number: int, dialect: Dialect) -> MappedColumn:
    found = entry(item, number, dialect)
    if not found.expression:
        raise QueryInvalid(f"Column {number} of the query is empty.", hint="Look for a comma too many.")
    inner, trims = trimmed(found.expression)
    plain = is_column(inner, dialect)
    name = found.alias or found.expression[-1]
    expression = _slice(query, inner)
    # a value without its leading blanks sorts elsewhere; without its trailing ones it is never above the whole
    compared = _slice(query, found.expression) if trims - {"RTRIM"} else expression
    return MappedColumn(
        dest_name=_dest_name(name) if found.alias else safe_alias(name.name),
        alias_text=_alias_text(name, dialect),
        source_expression=expression,
        predicate_expression=compared if plain else f"({compared})",
        source_name=inner[-1].name if plain else "",
        trim=bool(trims),
    )


def _slice(query: str, tokens: Tokens) -> str:
    return query[tokens[0].start : tokens[-1].stop]


def _dest_name(alias: Token) -> str:
    return alias.name.lower() if alias.kind is Kind.WORD else alias.name


def _alias_text(name: Token, dialect: Dialect) -> str:
    if name.kind is Kind.QUOTED:
        return name.text
    if name.kind is Kind.WORD and not is_reserved(name.word, dialect.sqlglot):
        return name.text
    folded = {"upper": name.name.upper(), "lower": name.name.lower()}.get(dialect.folds_to, name.name)
    return dialect.quote(folded if name.kind is Kind.WORD else name.name)


def _hidden(found: Outline, columns: tuple[MappedColumn, ...], dialect: Dialect) -> str:
    """Return the alias behind which ClickHouse would not see the column of that name: WHERE knows aliases there."""
    if dialect.sqlglot != "clickhouse":
        return ""
    made = [not column.source_name or column.trim or column.source_name != column.dest_name for column in columns]
    aliases = {column.dest_name.lower() for column, is_made in zip(columns, made, strict=True) if is_made}
    for item, is_made in zip(found.items, made, strict=True):
        used = {token.name.lower() for token in item[:-1] if token.is_name}
        if is_made and used & aliases:
            return f"the alias {sorted(used & aliases)[0]}, which is also a column"
    return ""

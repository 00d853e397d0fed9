"""Maps each destination column to its source expression, from the text of the query.

Nothing is guessed: a column whose name or expression is not certain is an error that says what to write instead.
"""

from __future__ import annotations

from connections.sdk.errors import QueryInvalid
from connections.sdk.records import dataclass
from connections.sdk.sql.dialect import Dialect
from modules.query.aliases import safe_alias
from modules.query.outline import Outline, parse_outline
from modules.query.pieces import TokenKind
from modules.query.select_list import Tokens, is_column, is_star, parse_item, trimmed
from modules.query.tokens import Token
from modules.query.words import is_reserved


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedColumn:
    """One column of the query's result.

    ``source_expression`` is its text in the query without trims, ``predicate_expression`` the text that a condition in
    the query can compare (it includes a leading trim, which changes the order), ``alias_text`` its name as written
    outside the query.
    """

    dest_name: str
    alias_text: str
    source_expression: str
    predicate_expression: str
    source_name: str = ""
    trim: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryMapping:
    """The query's columns in order; empty if ``star``, because then only the source knows their names.

    ``derived`` is whether a condition needs the query as a subquery, ``why`` the reason.
    """

    columns: tuple[MappedColumn, ...]
    star: bool = False
    derived: bool = False
    why: str = ""


def map_columns(query: str, dialect: Dialect) -> QueryMapping:
    """Return the mapping of a query's columns.

    Raise QueryInvalid if it is not a single SELECT, ColumnUnmapped if a column has no certain name.
    """
    return mapping_of(parse_outline(query, dialect), query, dialect)


def mapping_of(parts: Outline, query: str, dialect: Dialect) -> QueryMapping:
    """Return the mapping of a query whose outline is known."""
    if not parts.items or any(is_star(item, dialect) for item in parts.items):
        return QueryMapping(columns=(), star=True, derived=True, why=parts.why or "SELECT *")
    columns = tuple(_column(query, item, number, dialect) for number, item in enumerate(parts.items, start=1))
    why = parts.why or _shadowing_alias(parts, columns, dialect)
    return QueryMapping(columns=columns, derived=bool(why), why=why)


def _column(query: str, item: Tokens, number: int, dialect: Dialect) -> MappedColumn:
    parsed = parse_item(item, number, dialect)
    if not parsed.expression:
        raise QueryInvalid(f"Column {number} of the query is empty.", hint="Remove the extra comma.")
    inner, trims = trimmed(parsed.expression)
    plain = is_column(inner, dialect)
    name = parsed.alias or parsed.expression[-1]
    expression = _slice(query, inner)
    # without leading blanks a value sorts differently; without trailing ones it never sorts above the original
    compared = _slice(query, parsed.expression) if trims - {"RTRIM"} else expression
    return MappedColumn(
        dest_name=_dest_name(name) if parsed.alias else safe_alias(name.name),
        alias_text=_alias_text(name, dialect),
        source_expression=expression,
        predicate_expression=compared if plain else f"({compared})",
        source_name=inner[-1].name if plain else "",
        trim=bool(trims),
    )


def _slice(query: str, tokens: Tokens) -> str:
    return query[tokens[0].start : tokens[-1].stop]


def _dest_name(alias: Token) -> str:
    return alias.name.lower() if alias.kind is TokenKind.WORD else alias.name


def _alias_text(name: Token, dialect: Dialect) -> str:
    if name.kind is TokenKind.QUOTED:
        return name.text
    if name.kind is TokenKind.WORD and not is_reserved(name.word, dialect.grammar):
        return name.text
    folded = {"upper": name.name.upper(), "lower": name.name.lower()}.get(dialect.folds_to, name.name)
    return dialect.quote(folded if name.kind is TokenKind.WORD else name.name)


def _shadowing_alias(parts: Outline, columns: tuple[MappedColumn, ...], dialect: Dialect) -> str:
    """Return the reason if an alias shadows a column of the same name in WHERE."""
    if not dialect.grammar.aliases_shadow_columns:
        return ""
    computed = [not column.source_name or column.trim or column.source_name != column.dest_name for column in columns]
    aliases = {column.dest_name.lower() for column, is_computed in zip(columns, computed, strict=True) if is_computed}
    for item, is_computed in zip(parts.items, computed, strict=True):
        used = {token.name.lower() for token in item[:-1] if token.is_name}
        if is_computed and used & aliases:
            return f"the alias {sorted(used & aliases)[0]}, which is also a column"
    return ""

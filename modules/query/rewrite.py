"""Adds conditions to a user's query by inserting text; the user's own text is never changed, moved or removed.

The condition is added to WHERE if that is correct, as in ``WHERE "DCORD#" > 12345``; otherwise the query becomes a
derived table and the condition refers to its columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from connections.sdk.errors import ColumnUnmapped, QueryInvalid
from connections.sdk.sql.dialect import Dialect
from modules.query.aliases import suggest
from modules.query.column_mapping import MappedColumn, QueryMapping, mapping_of
from modules.query.outline import Outline, parse_outline
from modules.query.tokens import read

Insertion = tuple[int, str]

_DERIVED = "pipekit_q"


def add_predicate(
    query: str, dialect: Dialect, column: str, render: Callable[[str], str], *, result_name: str = ""
) -> str:
    """Return the query with a condition on one of its result columns, given by destination name.

    ``render`` returns the condition for the expression to compare. ``result_name`` is the column's name at the source,
    needed for ``SELECT *``. Raise ColumnUnmapped for a column that the query does not have.
    """
    parts = parse_outline(query, dialect)
    mapping = mapping_of(parts, query, dialect)
    if mapping.star:
        name = _outer(_starred(column, result_name, dialect), dialect)
        return _wrapped(query, parts, dialect, around=_where(render(name)))
    mapped = _column(mapping, column)
    if mapping.derived:
        name = _outer(mapped.alias_text, dialect)
        return _wrapped(query, parts, dialect, around=_where(render(name)), columns=mapping.columns)
    return _insert(query, _in_place(query, parts, render(mapped.predicate_expression), dialect))


def select_columns(query: str, dialect: Dialect, names: Mapping[str, str]) -> str:
    """Return the query reduced to some of its columns, in the order of ``names``: destination name to source name."""
    parts = parse_outline(query, dialect)
    mapping = mapping_of(parts, query, dialect)
    if mapping.star:
        selected = [_starred(column, source, dialect) for column, source in names.items()]
    else:
        selected = [_column(mapping, column).alias_text for column in names]
    listed = ", ".join(_outer(name, dialect) for name in selected)
    return _wrapped(query, parts, dialect, around=(f"SELECT {listed} FROM", ""), columns=mapping.columns)


def select_highest(query: str, dialect: Dialect, column: str, *, result_name: str = "") -> str:
    """Return a query for the highest value of one of the query's columns, by names as `add_predicate` takes them."""
    parts = parse_outline(query, dialect)
    mapping = mapping_of(parts, query, dialect)
    selected = _starred(column, result_name, dialect) if mapping.star else _column(mapping, column).alias_text
    around = (f"SELECT MAX({_outer(selected, dialect)}) FROM", "")
    return _wrapped(query, parts, dialect, around=around, columns=mapping.columns)


def _where(condition: str) -> tuple[str, str]:
    return "SELECT * FROM", f" WHERE {condition}"


def _outer(name: str, dialect: Dialect) -> str:
    """Return a column of the derived table, qualified where an unknown quoted name would be read as a text."""
    return f"{_DERIVED}.{name}" if dialect.grammar.unknown_names_are_text and not name.isidentifier() else name


def _starred(column: str, result_name: str, dialect: Dialect) -> str:
    if not result_name:
        raise ColumnUnmapped(
            f"The query selects *, so the name of “{column}” at the source is not known.",
            hint="List the columns with their aliases, or write a {placeholder} watermark into the query.",
        )
    return dialect.quote(result_name)


def _column(mapping: QueryMapping, name: str) -> MappedColumn:
    matches = [column for column in mapping.columns if column.dest_name == name]
    if len(matches) == 1:
        return matches[0]
    names = {column.dest_name: column.source_name for column in mapping.columns}
    suggestion = suggest(name, names)
    raise ColumnUnmapped(
        f"The query has {'several columns' if matches else 'no column'} “{name}”; its columns are {', '.join(names)}.",
        hint=(f"Did you mean “{suggestion}”? " if suggestion else "")
        + "Name one of them, or write the condition into the query with a {placeholder} watermark.",
    )


def _in_place(query: str, parts: Outline, predicate: str, dialect: Dialect) -> list[Insertion]:
    if parts.where is None:
        end = parts.tokens[parts.from_end].stop
        return [(end, _spaced(query, end, f" WHERE {predicate}"))]
    first, last = parts.where[0], parts.where[1] - 1
    if last < first:
        raise QueryInvalid("The query's WHERE is empty.", hint="Add a condition, or remove the word WHERE.")
    end = parts.tokens[last].stop
    if any(token.word == "OR" and not token.depth for token in read(predicate, dialect)):
        predicate = f"({predicate})"
    return [(parts.tokens[first].start, "("), (end, _spaced(query, end, f") AND {predicate}"))]


def _spaced(query: str, end: int, text: str) -> str:
    following = query[end : end + 1]
    return text if not following or following.isspace() or following in ";)" else f"{text} "


def _wrapped(
    query: str,
    parts: Outline,
    dialect: Dialect,
    *,
    around: tuple[str, str],
    columns: Sequence[MappedColumn] = (),
) -> str:
    """Return the query as a derived table between two texts.

    Its WITH list stays in front; its lock clauses and options stay at the end.
    """
    if parts.late_limit:
        raise QueryInvalid(
            "The query has a row limit after a clause that is not allowed in a derived table.",
            hint="Write the row limit before FOR .., WITH .. or OPTION, or use a {placeholder} watermark.",
        )
    start, stop = parts.tokens[parts.body[0]].start, parts.tokens[parts.body[1] - 1].stop
    names = parts.set_operation and dialect.grammar.union_loses_names and columns
    alias = f"{_DERIVED} ({', '.join(column.alias_text for column in columns)})" if names else _DERIVED
    insertions = [(start, f"{around[0]} (\n"), (stop, _spaced(query, stop, f"\n) {alias}{around[1]}"))]
    if dialect.grammar.order_needs_limit and parts.bare_order_end is not None:
        insertions.insert(1, (parts.tokens[parts.bare_order_end].stop, " OFFSET 0 ROWS"))
    return _insert(query, insertions)


def _insert(query: str, insertions: Sequence[Insertion]) -> str:
    result, position = [], 0
    for place, text in insertions:
        result += [query[position:place], text]
        position = place
    return "".join([*result, query[position:]])

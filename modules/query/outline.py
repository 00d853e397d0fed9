"""The outline of a query: where its WITH list, select list, WHERE and trailing clauses are.

Clauses are found by their keywords at the outermost depth. Trailing clauses must stay outside a derived table.
"""

from __future__ import annotations

from collections.abc import Sequence

from connections.sdk.errors import QueryInvalid
from connections.sdk.records import dataclass
from connections.sdk.sql.dialect import Dialect
from modules.query.clauses import SET_OPERATIONS, TAIL, Clause, pairs_names, select_head, split_clauses
from modules.query.needs_subquery import reason_for_subquery
from modules.query.refusals import (
    ONE_SELECT,
    WRITES,
    refuse_batch_separator,
    refuse_repeated,
    refuse_second_statement,
    refuse_writes,
)
from modules.query.tokens import Token, read


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """Token indices of the parts of a query; ranges exclude their end.

    ``body`` is the part that can become a derived table: after the WITH list and before ``WITH UR``, ``FOR UPDATE``,
    ``OPTION (...)`` and the like. ``why`` is the reason why a condition needs one; empty if it does not.
    """

    tokens: tuple[Token, ...]
    body: tuple[int, int]
    items: tuple[tuple[Token, ...], ...]
    # the condition after WHERE
    where: tuple[int, int] | None
    # the last token of FROM
    from_end: int
    why: str
    set_operation: bool
    # the last token of an ORDER BY that SQL Server does not allow in a derived table
    bare_order_end: int | None
    # a row limit after a clause that must stay outside: no derived table would be correct
    late_limit: bool


def parse_outline(query: str, dialect: Dialect) -> Outline:
    """Return the query's outline. Raise QueryInvalid if it is not a single SELECT."""
    tokens = read(query, dialect)
    inside = [index for index, token in enumerate(tokens) if token.text != ";"]
    if not inside:
        raise QueryInvalid("The query is empty.", hint=ONE_SELECT)
    # leading semicolons are allowed: ;WITH is common with SQL Server
    start, stop = inside[0], inside[-1] + 1
    if any(token.text == ";" for token in tokens[start:stop]):
        raise QueryInvalid("The query contains more than one statement.", hint=ONE_SELECT)
    refuse_writes(tokens)
    refuse_batch_separator(query, tokens[inside[-1]], dialect)
    return _statement(tokens, start, stop, dialect)


def _top_level(tokens: Sequence[Token], start: int, stop: int) -> list[int]:
    """Return the indices of the tokens that no bracket of this range encloses."""
    return [index for index in range(start, stop) if tokens[index].depth == tokens[start].depth]


def _statement(tokens: tuple[Token, ...], start: int, stop: int, dialect: Dialect) -> Outline:
    top = _top_level(tokens, start, stop)
    begin = _after_with(tokens, top, dialect) if tokens[start].word == "WITH" else start
    if tokens[begin].text == "(" and top[-2:] == [begin, stop - 1] and begin + 1 < stop - 1:
        return _statement(tokens, begin + 1, stop - 1, dialect)
    openings = ("SELECT", "VALUES", *(["FROM"] if dialect.grammar.from_first else []))
    if tokens[begin].word not in openings and tokens[begin].text != "(":
        raise QueryInvalid(f"The query begins with “{tokens[begin].text}”, not with SELECT.", hint=ONE_SELECT)
    all_clauses = split_clauses(tokens, [index for index in top if index >= begin], dialect.grammar)
    refuse_second_statement(tokens, top, all_clauses, dialect)
    # ClickHouse's WITH also names values, which would be visible outside the derived table
    start = start if dialect.grammar.with_names_values else begin
    return _body(tokens, (start, begin, stop), all_clauses=all_clauses, dialect=dialect)


def _after_with(tokens: Sequence[Token], top: Sequence[int], dialect: Dialect) -> int:
    """Return the index at which the query after the WITH list begins."""
    for before, index in zip(top, top[1:], strict=False):
        token, previous = tokens[index], tokens[before]
        if token.word in WRITES and previous.text == ")":
            raise QueryInvalid(f"The query writes: its WITH list is followed by {token.word}.", hint=ONE_SELECT)
        if token.word in ("SELECT", "VALUES") and previous.word != "AS" and previous.text != ".":
            return index
        if token.word == "FROM" and previous.text == ")" and dialect.grammar.from_first:
            return index
        if token.text == "(" and previous.text == ")":
            return index
    raise QueryInvalid("There is no SELECT after the WITH list.", hint=ONE_SELECT)


def _body(
    tokens: tuple[Token, ...], places: tuple[int, int, int], *, all_clauses: Sequence[Clause], dialect: Dialect
) -> Outline:
    start, begin, stop = places
    tail = next((clause.index for clause in all_clauses if clause.name in TAIL), stop)
    joins = [clause for clause in all_clauses if clause.name in SET_OPERATIONS]
    first_stop = joins[0].index if joins else stop
    if tokens[begin].word == "FROM":
        return _from_first(tokens, (start, begin, tail), all_clauses=all_clauses, dialect=dialect)
    refuse_repeated(tokens, begin, all_clauses)
    if tokens[begin].word != "SELECT":
        return _without_select(tokens, (start, begin, tail), all_clauses=all_clauses, dialect=dialect)
    own_clauses = [clause for clause in all_clauses if clause.index < first_stop]
    head = select_head(tokens, begin, dialect.grammar)
    list_stop = own_clauses[0].index if own_clauses else first_stop
    limited = any(clause.name in _LIMITS for clause in all_clauses) or (head.limited and not joins)
    paired = any(pairs_names(tokens, join) for join in joins)
    return Outline(
        tokens=tokens,
        body=(start, tail),
        items=() if paired else _split(tokens, head.stop, list_stop, dialect),
        where=_region(own_clauses, "WHERE", first_stop),
        from_end=(_region(own_clauses, "FROM", first_stop) or (0, first_stop))[1] - 1,
        why=joins[0].name
        if joins
        else reason_for_subquery(tokens, (begin, tail), own_clauses, head=head.name, dialect=dialect),
        set_operation=bool(joins),
        bare_order_end=_order_end(all_clauses, tail, limited=limited),
        late_limit=any(clause.name in _LIMITS and clause.index > tail for clause in all_clauses),
    )


_LIMITS = frozenset({"LIMIT", "OFFSET", "FETCH FIRST"})


def _without_select(
    tokens: tuple[Token, ...], places: tuple[int, int, int], *, all_clauses: Sequence[Clause], dialect: Dialect
) -> Outline:
    """Return the outline of VALUES, or of a query in brackets followed by clauses."""
    start, begin, tail = places
    items: tuple[tuple[Token, ...], ...] = ()
    if tokens[begin].text == "(":
        closing = next(i for i in range(begin + 1, len(tokens)) if tokens[i].depth == tokens[begin].depth)
        items = _statement(tokens, begin + 1, closing, dialect).items
    limited = any(clause.name in _LIMITS for clause in all_clauses)
    return Outline(
        tokens=tokens,
        body=(start, tail),
        items=items,
        where=None,
        from_end=begin,
        why=all_clauses[0].name if all_clauses else "VALUES",
        set_operation=any(clause.name in SET_OPERATIONS for clause in all_clauses),
        bare_order_end=_order_end(all_clauses, tail, limited=limited),
        late_limit=any(clause.name in _LIMITS and clause.index > tail for clause in all_clauses),
    )


def _from_first(
    tokens: tuple[Token, ...], places: tuple[int, int, int], *, all_clauses: Sequence[Clause], dialect: Dialect
) -> Outline:
    """Return the outline of ``FROM t SELECT a``, or of ``FROM t``, which selects all columns."""
    start, begin, tail = places
    parts = [clause for clause in all_clauses if clause.name == "SELECT" or clause.name in SET_OPERATIONS]
    items: tuple[tuple[Token, ...], ...] = ()
    if parts and parts[0].name == "SELECT" and not any(pairs_names(tokens, clause) for clause in parts):
        head = select_head(tokens, parts[0].index, dialect.grammar)
        stop = next((clause.index for clause in all_clauses if clause.index > parts[0].index), tail)
        items = _split(tokens, head.stop, min(stop, tail), dialect)
    return Outline(
        tokens=tokens,
        body=(start, tail),
        items=items,
        where=None,
        from_end=begin,
        why="FROM before SELECT",
        set_operation=any(clause.name in SET_OPERATIONS for clause in all_clauses),
        bare_order_end=None,
        late_limit=any(clause.name in _LIMITS and clause.index > tail for clause in all_clauses),
    )


def _region(all_clauses: Sequence[Clause], name: str, stop: int) -> tuple[int, int] | None:
    for position, clause in enumerate(all_clauses):
        if clause.name == name:
            following = all_clauses[position + 1].index if position + 1 < len(all_clauses) else stop
            return clause.index + 1, following
    return None


def _split(tokens: Sequence[Token], start: int, stop: int, dialect: Dialect) -> tuple[tuple[Token, ...], ...]:
    items: list[list[Token]] = [[]]
    for token in tokens[start:stop]:
        if token.text == "," and token.depth == tokens[start].depth:
            items.append([])
        else:
            items[-1].append(token)
    if not items[-1] and len(items) > 1 and dialect.grammar.trailing_comma:
        items.pop()
    if not all(items):
        raise QueryInvalid("The query's select list has an empty item.", hint="Remove the extra comma.")
    return tuple(tuple(item) for item in items)


def _order_end(all_clauses: Sequence[Clause], tail: int, *, limited: bool) -> int | None:
    """Return the last token of an ORDER BY without a row limit."""
    for position, clause in enumerate(all_clauses):
        if clause.name == "ORDER BY" and clause.index < tail and not limited:
            following = all_clauses[position + 1].index if position + 1 < len(all_clauses) else tail
            return min(following, tail) - 1
    return None

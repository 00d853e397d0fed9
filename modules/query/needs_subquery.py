"""Determines why a condition cannot be added to a query's WHERE clause, so that the query must become a subquery."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from connections.sdk.sql.dialect import Dialect
from modules.query.clauses import TAIL, Clause
from modules.query.tokens import Token
from modules.query.words import PER_RESULT, ROW_NUMBERS, is_aggregate

_IN_PLACE = frozenset({"FROM", "WHERE", "ORDER BY"}) | TAIL


def reason_for_subquery(
    tokens: Sequence[Token], body: tuple[int, int], clauses: Sequence[Clause], *, head: str, dialect: Dialect
) -> str:
    """Return why a condition cannot be added to WHERE; empty if it can."""
    names = [clause.name for clause in clauses]
    if head:
        return head
    if name := next((name for name in names if name not in _IN_PLACE), ""):
        return name
    if "FROM" not in names:
        return "no FROM"
    start = clauses[names.index("FROM")].index
    stop = next((clause.index for clause in clauses if clause.name not in ("FROM", "WHERE")), body[1])
    outside = {*range(*body)} - {*range(start, stop)}
    return next(_reasons(tokens, own_tokens(tokens, *body), outside, dialect), "")


def _reasons(tokens: Sequence[Token], own: Iterator[int], outside: set[int], dialect: Dialect) -> Iterator[str]:
    """Yield the reasons why the whole result is needed; function calls count only ``outside`` FROM and WHERE."""
    base = None
    for index in own:
        token = tokens[index]
        base = token.depth if base is None else base
        if token.word in ROW_NUMBERS:
            yield token.word
        elif token.text == ":=":
            yield "an assignment"
        elif index in outside and index + 1 < len(tokens):
            yield from _function(token, tokens[index + 1], base, dialect)


def _function(token: Token, following: Token, base: int, dialect: Dialect) -> Iterator[str]:
    called = following.text == "("
    name = token.name.upper() if token.is_name else ""
    if token.word == "OVER" and (called or following.is_name):
        yield "a window function"
    elif called and is_aggregate(name, dialect.grammar):
        yield f"the aggregate {name}"
    elif called and name in PER_RESULT:
        yield f"the function {name}"
    elif _in_aggregate(token, following, base):
        # a user-defined aggregate, or one that is not listed
        yield "an aggregate"


def _in_aggregate(token: Token, following: Token, base: int) -> bool:
    """Return whether the tokens occur only in aggregates: FILTER (..), WITHIN GROUP, f(DISTINCT x), f(x ORDER BY y)."""
    if token.word in ("FILTER", "WITHIN"):
        return following.text == "(" or following.word == "GROUP"
    if token.word == "ORDER":
        return token.depth > base and following.word == "BY"
    return token.text == "(" and following.word == "DISTINCT"


def own_tokens(tokens: Sequence[Token], start: int, stop: int) -> Iterator[int]:
    """Yield the indices outside subqueries, and inside those whose aggregates may belong to this SELECT."""
    index = start
    while index < stop:
        yield index
        opening = tokens[index]
        index += 1
        if opening.text == "(" and index < stop and tokens[index].word in ("SELECT", "WITH", "VALUES"):
            closing = next(i for i in range(index, stop) if tokens[i].depth == opening.depth)
            if not _may_aggregate_outer(tokens[index:closing]):
                index = closing


def _may_aggregate_outer(inside: Sequence[Token]) -> bool:
    """Return whether a subquery has no FROM, or a function of a column of an outer table, such as ``max(outer.a)``."""
    top = [i for i, token in enumerate(inside) if token.depth == inside[0].depth]
    begin = next((i for i in top if inside[i].word == "FROM"), None)
    if begin is None:
        return True
    end = next((i for i in top if i > begin and inside[i].word in ("WHERE", "GROUP", "ORDER", "HAVING")), len(inside))
    known = {token.name.lower() for token in inside[begin:end] if token.is_name}
    return any(
        called.text == "(" and name.is_name and dot.text == "." and name.name.lower() not in known
        for called, name, dot in zip(inside[:begin], inside[1:], inside[2:], strict=False)
    )

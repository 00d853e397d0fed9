"""Where the parts of a query stand: its WITH list, select list, WHERE, and what must stay behind a derived table.

Finds clauses by their words at the outermost depth. Refuses what is not one single SELECT, WITH or VALUES, and what
has its clauses where they cannot be told apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connections.sdk.dialect import Dialect
from connections.sdk.errors import QueryInvalid
from modules.query_clauses import SET_OPERATIONS, TAIL, Clause, clauses, select_head
from modules.query_text import Token, read, written
from modules.sql_words import words
from modules.whole_result import needs_result

_WRITES = frozenset({"DELETE", "INSERT", "MERGE", "UPDATE"})
_STATEMENTS = _WRITES | words(
    """ALTER BACKUP BEGIN COMMIT CREATE DBCC DECLARE DENY DROP EXEC EXECUTE GRANT IF KILL PRINT RAISERROR RESTORE REVOKE
    ROLLBACK SET SHUTDOWN THROW TRUNCATE WAITFOR WHILE"""
)
_ONE_SELECT = "Write one SELECT, with or without a WITH list before it; other statements belong into a hook."


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """Token indices of one query's parts; every range ends before its second number.

    ``body`` is what becomes a derived table: all behind the WITH list and before ``WITH UR``, ``FOR UPDATE``,
    ``OPTION (...)`` and the like. ``why`` says why it must become one, empty when it need not.
    """

    tokens: tuple[Token, ...]
    body: tuple[int, int]
    items: tuple[tuple[Token, ...], ...]
    # the condition after the word WHERE
    where: tuple[int, int] | None
    # the last token of FROM
    from_end: int
    why: str
    set_operation: bool
    # the last token of an ORDER BY that SQL Server would not take in a derived table
    bare_order_end: int | None
    # a row limit behind what must stay outside: no derived table is right then
    late_limit: bool


def outline(query: str, dialect: Dialect) -> Outline:
    """Return the query's outline; QueryInvalid when it has none."""
    tokens = read(query, dialect)
    inside = [index for index, token in enumerate(tokens) if token.text != ";"]
    if not inside:
        raise QueryInvalid("The query is empty.", hint=_ONE_SELECT)
    # SQL Server's people write ;WITH
    start, stop = inside[0], inside[-1] + 1
    if any(token.text == ";" for token in tokens[start:stop]):
        raise QueryInvalid("The query holds more than one statement.", hint=_ONE_SELECT)
    _refuse_writes(tokens)
    return _statement(tokens, start, stop, dialect)


def _refuse_writes(tokens: Sequence[Token]) -> None:
    for opening, verb, following in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if opening.text == "(" and verb.word in _WRITES and following.is_name:
            raise QueryInvalid(f"The query writes: it holds a {verb.word}.", hint=_ONE_SELECT)


def _top_level(tokens: Sequence[Token], start: int, stop: int) -> list[int]:
    """Return the indices of the tokens that no bracket of this range encloses."""
    return [index for index in range(start, stop) if tokens[index].depth == tokens[start].depth]


def _statement(tokens: tuple[Token, ...], start: int, stop: int, dialect: Dialect) -> Outline:
    top = _top_level(tokens, start, stop)
    begin = _behind_with(tokens, top) if tokens[start].word == "WITH" else start
    if tokens[begin].text == "(" and top[-2:] == [begin, stop - 1] and begin + 1 < stop - 1:
        return _statement(tokens, begin + 1, stop - 1, dialect)
    if tokens[begin].word not in ("SELECT", "VALUES") and tokens[begin].text != "(":
        raise QueryInvalid(f"The query begins with “{tokens[begin].text}”, not with SELECT.", hint=_ONE_SELECT)
    found = clauses(tokens, [index for index in top if index >= begin], dialect.sqlglot)
    _refuse_second_statement(tokens, top, found, dialect)
    # ClickHouse's WITH names values, too, which would be seen outside the derived table
    start = start if dialect.sqlglot == "clickhouse" else begin
    return _body(tokens, (start, begin, stop), found=found, dialect=dialect)


def _behind_with(tokens: Sequence[Token], top: Sequence[int]) -> int:
    """Return where the query behind the WITH list begins."""
    for before, index in zip(top, top[1:], strict=False):
        token, previous = tokens[index], tokens[before]
        if token.word in _WRITES and previous.text == ")":
            raise QueryInvalid(f"The query writes: its WITH list is followed by {token.word}.", hint=_ONE_SELECT)
        if token.word in ("SELECT", "VALUES") and previous.word != "AS" and previous.text != ".":
            return index
        if token.text == "(" and previous.text == ")":
            return index
    raise QueryInvalid("There is no SELECT behind the WITH list.", hint=_ONE_SELECT)


def _refuse_second_statement(
    tokens: Sequence[Token], top: Sequence[int], found: Sequence[Clause], dialect: Dialect
) -> None:
    for clause in found:
        if clause.name in ("INTO", "FOR XML", "FOR JSON"):
            raise QueryInvalid(f"The query has {clause.name}, so it returns no rows of columns.", hint=_ONE_SELECT)
    if dialect.sqlglot != "tsql":
        return
    begin = next((clause.index for clause in found if clause.name == "FROM"), len(tokens))
    for before, index in zip(top, top[1:], strict=False):
        word, previous = tokens[index].word, tokens[before]
        following = tokens[index + 1] if index + 1 < len(tokens) else previous
        if index > begin and word in _STATEMENTS and previous.text != "." and following.word != "JOIN":
            raise QueryInvalid(f"The query holds a second statement: {word}.", hint=_ONE_SELECT)


def _body(
    tokens: tuple[Token, ...], places: tuple[int, int, int], *, found: Sequence[Clause], dialect: Dialect
) -> Outline:
    start, begin, stop = places
    tail = next((clause.index for clause in found if clause.name in TAIL), stop)
    joins = [clause for clause in found if clause.name in SET_OPERATIONS]
    first_stop = joins[0].index if joins else stop
    _refuse_doubled(tokens, begin, found)
    if tokens[begin].word != "SELECT":
        return _without_select(tokens, (start, begin, tail), found=found, dialect=dialect)
    mine = [clause for clause in found if clause.index < first_stop]
    head = select_head(tokens, begin, dialect.sqlglot)
    list_stop = mine[0].index if mine else first_stop
    limited = any(clause.name in _LIMITS for clause in found) or (head.limited and not joins)
    return Outline(
        tokens=tokens,
        body=(start, tail),
        items=_split(tokens, head.stop, list_stop, dialect),
        where=_region(mine, "WHERE", first_stop),
        from_end=(_region(mine, "FROM", first_stop) or (0, first_stop))[1] - 1,
        why=joins[0].name if joins else needs_result(tokens, (begin, tail), mine, head=head.name, dialect=dialect),
        set_operation=bool(joins),
        bare_order_end=_order_end(found, tail, limited=limited),
        late_limit=any(clause.name in _LIMITS and clause.index > tail for clause in found),
    )


_LIMITS = frozenset({"LIMIT", "OFFSET", "FETCH FIRST"})


def _without_select(
    tokens: tuple[Token, ...], places: tuple[int, int, int], *, found: Sequence[Clause], dialect: Dialect
) -> Outline:
    """Return the outline of VALUES, or of brackets with something behind them."""
    start, begin, tail = places
    items: tuple[tuple[Token, ...], ...] = ()
    if tokens[begin].text == "(":
        closing = next(i for i in range(begin + 1, len(tokens)) if tokens[i].depth == tokens[begin].depth)
        items = _statement(tokens, begin + 1, closing, dialect).items
    limited = any(clause.name in _LIMITS for clause in found)
    return Outline(
        tokens=tokens,
        body=(start, tail),
        items=items,
        where=None,
        from_end=begin,
        why=found[0].name if found else "VALUES",
        set_operation=any(clause.name in SET_OPERATIONS for clause in found),
        bare_order_end=_order_end(found, tail, limited=limited),
        late_limit=any(clause.name in _LIMITS and clause.index > tail for clause in found),
    )


def _refuse_doubled(tokens: Sequence[Token], begin: int, found: Sequence[Clause]) -> None:
    """Refuse what cannot be told apart: two FROM or WHERE in one SELECT, a SELECT that nothing joins to the first."""
    seen: set[str] = set()
    for before, clause in zip([None, *found], found, strict=False):
        if clause.name in SET_OPERATIONS:
            seen.clear()
        elif clause.name == "SELECT" and clause.index != begin and (not before or before.name not in SET_OPERATIONS):
            raise QueryInvalid("The query holds more than one SELECT without UNION.", hint=_ONE_SELECT)
        elif clause.name in ("FROM", "WHERE") and clause.name in seen:
            near = written(tokens[max(clause.index - 3, 0) : clause.index + 3])
            raise QueryInvalid(
                f"The query has a second {clause.name} near “{near}”.",
                hint="Put the part with it into brackets, or into a WITH list.",
            )
        seen.add(clause.name)


def _region(found: Sequence[Clause], name: str, stop: int) -> tuple[int, int] | None:
    for position, clause in enumerate(found):
        if clause.name == name:
            following = found[position + 1].index if position + 1 < len(found) else stop
            return clause.index + 1, following
    return None


def _split(tokens: Sequence[Token], start: int, stop: int, dialect: Dialect) -> tuple[tuple[Token, ...], ...]:
    items: list[list[Token]] = [[]]
    for token in tokens[start:stop]:
        if token.text == "," and token.depth == tokens[start].depth:
            items.append([])
        else:
            items[-1].append(token)
    if not items[-1] and len(items) > 1 and dialect.sqlglot in ("duckdb", "clickhouse"):
        items.pop()
    if not all(items):
        raise QueryInvalid("The query's select list has an empty place.", hint="Look for a comma too many.")
    return tuple(tuple(item) for item in items)


def _order_end(found: Sequence[Clause], tail: int, *, limited: bool) -> int | None:
    """Return the last token of an ORDER BY that has no row limit beside it."""
    for position, clause in enumerate(found):
        if clause.name == "ORDER BY" and clause.index < tail and not limited:
            following = found[position + 1].index if position + 1 < len(found) else tail
            return min(following, tail) - 1
    return None

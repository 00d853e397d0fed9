"""What is no single SELECT is refused: statements that write, a second statement, clauses that cannot be told apart."""

from __future__ import annotations

from collections.abc import Sequence

from connections.sdk.errors import QueryInvalid
from connections.sdk.sql.dialect import Dialect
from modules.query.clauses import SET_OPERATIONS, Clause
from modules.query.tokenizer import Token, written
from modules.query.words import words

WRITES = frozenset({"DELETE", "INSERT", "MERGE", "UPDATE"})
_STATEMENTS = WRITES | words(
    """ALTER BACKUP BEGIN COMMIT CREATE DBCC DECLARE DENY DROP EXEC EXECUTE GRANT IF KILL PRINT RAISERROR RESTORE REVOKE
    ROLLBACK SET SHUTDOWN THROW TRUNCATE WAITFOR WHILE"""
)
ONE_SELECT = "Write one SELECT, with or without a WITH list before it; other statements belong into a hook."


def refuse_writes(tokens: Sequence[Token]) -> None:
    for opening, verb, following in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if opening.text == "(" and verb.word in WRITES and following.is_name:
            raise QueryInvalid(f"The query writes: it holds a {verb.word}.", hint=ONE_SELECT)


def refuse_tool_words(query: str, last: Token, dialect: Dialect) -> None:
    """Refuse a last line of GO or of a slash: it is the tool's the query was copied from, not SQL."""
    alone = last.start > 0 and not query[: last.start].rpartition("\n")[2].strip()
    if alone and (last.text == "/" or (last.word == "GO" and dialect.sqlglot in ("tsql", ""))):
        raise QueryInvalid(
            f"The query ends with a line “{last.text}”, which is no SQL but a word of some query tools.",
            hint="Take that line out.",
        )


def refuse_second_statement(
    tokens: Sequence[Token], top: Sequence[int], found: Sequence[Clause], dialect: Dialect
) -> None:
    for clause in found:
        if clause.name in ("INTO", "FOR XML", "FOR JSON"):
            raise QueryInvalid(f"The query has {clause.name}, so it returns no rows of columns.", hint=ONE_SELECT)
    if dialect.sqlglot != "tsql":
        return
    begin = next((clause.index for clause in found if clause.name == "FROM"), len(tokens))
    for before, index in zip(top, top[1:], strict=False):
        word, previous = tokens[index].word, tokens[before]
        following = tokens[index + 1] if index + 1 < len(tokens) else previous
        if index > begin and word in _STATEMENTS and previous.text != "." and following.word != "JOIN":
            raise QueryInvalid(f"The query holds a second statement: {word}.", hint=ONE_SELECT)


def refuse_doubled(tokens: Sequence[Token], begin: int, found: Sequence[Clause]) -> None:
    """Refuse what cannot be told apart: two FROM or WHERE in one SELECT, a SELECT that nothing joins to the first."""
    seen: set[str] = set()
    for before, clause in zip([None, *found], found, strict=False):
        if clause.name in SET_OPERATIONS:
            seen.clear()
        elif clause.name == "SELECT" and clause.index != begin and (not before or before.name not in SET_OPERATIONS):
            raise QueryInvalid("The query holds more than one SELECT without UNION.", hint=ONE_SELECT)
        elif clause.name in ("FROM", "WHERE") and clause.name in seen:
            near = written(tokens[max(clause.index - 3, 0) : clause.index + 3])
            raise QueryInvalid(
                f"The query has a second {clause.name} near “{near}”.",
                hint="Put the part with it into brackets, or into a WITH list.",
            )
        seen.add(clause.name)

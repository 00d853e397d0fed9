"""Rejects queries that are not a single SELECT: writes, a second statement, ambiguous clauses."""

from __future__ import annotations

from collections.abc import Sequence

from connections.sdk.errors import QueryInvalid
from connections.sdk.sql.dialect import Dialect
from modules.query.clauses import SET_OPERATIONS, Clause
from modules.query.tokens import Token, source_text
from modules.query.words import words

WRITES = frozenset({"DELETE", "INSERT", "MERGE", "UPDATE"})
_STATEMENTS = WRITES | words(
    """ALTER BACKUP BEGIN COMMIT CREATE DBCC DECLARE DENY DROP EXEC EXECUTE GRANT IF KILL PRINT RAISERROR RESTORE REVOKE
    ROLLBACK SET SHUTDOWN THROW TRUNCATE WAITFOR WHILE"""
)
ONE_SELECT = "Write one SELECT, with or without a WITH list before it; other statements belong in a hook."


def refuse_writes(tokens: Sequence[Token]) -> None:
    """Raise QueryInvalid for a data-modifying WITH query."""
    for opening, verb, following in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if opening.text == "(" and verb.word in WRITES and following.is_name:
            raise QueryInvalid(f"The query writes: it contains {verb.word}.", hint=ONE_SELECT)


def refuse_batch_separator(query: str, last: Token, dialect: Dialect) -> None:
    """Raise QueryInvalid for a last line of GO or a slash, which belongs to a query tool and is not SQL."""
    alone = last.start > 0 and not query[: last.start].rpartition("\n")[2].strip()
    if alone and (last.text == "/" or (last.word == "GO" and dialect.grammar.go_separates)):
        raise QueryInvalid(
            f"The query ends with a line “{last.text}”, which is a command of some query tools and not SQL.",
            hint="Remove that line.",
        )


def refuse_second_statement(
    tokens: Sequence[Token], top: Sequence[int], clauses: Sequence[Clause], dialect: Dialect
) -> None:
    """Raise QueryInvalid for INTO, FOR XML, FOR JSON, and for a second statement without a semicolon before it."""
    for clause in clauses:
        if clause.name in ("INTO", "FOR XML", "FOR JSON"):
            raise QueryInvalid(f"The query has {clause.name}, so it returns no rows of columns.", hint=ONE_SELECT)
    if not dialect.grammar.statements_without_semicolon:
        return
    begin = next((clause.index for clause in clauses if clause.name == "FROM"), len(tokens))
    for before, index in zip(top, top[1:], strict=False):
        word, previous = tokens[index].word, tokens[before]
        following = tokens[index + 1] if index + 1 < len(tokens) else previous
        if index > begin and word in _STATEMENTS and previous.text != "." and following.word != "JOIN":
            raise QueryInvalid(f"The query contains a second statement: {word}.", hint=ONE_SELECT)


def refuse_repeated(tokens: Sequence[Token], begin: int, clauses: Sequence[Clause]) -> None:
    """Raise QueryInvalid for two FROM or WHERE in one SELECT, or a second SELECT without a set operation."""
    seen: set[str] = set()
    for before, clause in zip([None, *clauses], clauses, strict=False):
        if clause.name in SET_OPERATIONS:
            seen.clear()
        elif clause.name == "SELECT" and clause.index != begin and (not before or before.name not in SET_OPERATIONS):
            raise QueryInvalid("The query contains more than one SELECT without UNION.", hint=ONE_SELECT)
        elif clause.name in ("FROM", "WHERE") and clause.name in seen:
            context = source_text(tokens[max(clause.index - 3, 0) : clause.index + 3])
            raise QueryInvalid(
                f"The query has a second {clause.name} near “{context}”.",
                hint="Put that part into brackets or into a WITH list.",
            )
        seen.add(clause.name)

"""One entry of a select list: its expression, its alias, and what the expression is. Unsure means refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connections.sdk.errors import ColumnUnmapped
from connections.sdk.sql.dialect import Dialect
from modules.query.tokenizer import Kind, Token, written
from modules.query.words import ENDING, EXPECTING, SPREADING, TYPING, VALUES

Tokens = Sequence[Token]

_STRING_ALIASES = frozenset({"tsql", "mysql", "sqlite", "duckdb"})
_TRIMS = frozenset({"TRIM", "RTRIM", "LTRIM"})
# columns in these, the session's user elsewhere
_USER_COLUMN = frozenset({"mysql", "sqlite", "clickhouse"})


@dataclass(frozen=True, slots=True)
class Entry:
    """The tokens of the expression, and of the alias when there is one."""

    expression: Tokens
    alias: Token | None


def is_star(item: Tokens, dialect: Dialect) -> bool:
    """Whether the entry is several columns whose names the text does not say."""
    top = [token for token in item if token.depth == item[0].depth]
    for position, token in enumerate(top):
        if token.text == "*" and (position == 0 or top[position - 1].text == "."):
            return True
    spreads = dialect.sqlglot in ("duckdb", "clickhouse") and any(
        token.word in SPREADING and following.text == "(" for token, following in zip(item, item[1:], strict=False)
    )
    return spreads or (dialect.sqlglot == "duckdb" and item[0].word == "UNNEST")


def entry(item: Tokens, number: int, dialect: Dialect) -> Entry:
    """Return the entry's expression and alias. Raises ColumnUnmapped when they cannot be told apart."""
    top = _outermost(item)
    if top is None:
        raise unmapped(item, number, "cannot be read: its CASE has no END")
    if found := _alias_first(item, top, dialect):
        return found
    words = [token.word for token in top]
    if "AS" in words[1:]:
        if words[-2] != "AS" or top[-1] is not item[-1] or not _can_be_alias(top[-1], dialect):
            raise unmapped(item, number, "cannot be read: its AS is not followed by one name alone")
        if words.count("AS") > 1 and dialect.sqlglot != "clickhouse":
            raise unmapped(item, number, "has two AS")
        return Entry(item[:-2], item[-1])
    if is_column(item, dialect):
        return Entry(item, None)
    if not _has_bare_alias(item, top, dialect):
        raise unmapped(item, number, "has no name of its own that is certain")
    return Entry(item[:-1], item[-1])


def unmapped(item: Tokens, number: int, what: str) -> ColumnUnmapped:
    text = written(item)
    return ColumnUnmapped(
        f"Column {number} of the query, {text[:80]}, {what}.",
        hint="Write it with AS and an alias of its own, as in a + b AS total.",
    )


def _outermost(item: Tokens) -> list[Token] | None:
    """Return the tokens outside brackets and outside CASE .. END (its two ends stay); None for an open CASE."""
    result: list[Token] = []
    cases = 0
    for position, token in enumerate(item):
        if token.depth != item[0].depth:
            continue
        named = position > 0 and (item[position - 1].text == "." or item[position - 1].word == "AS")
        if token.word == "END" and cases and not named:
            cases -= 1
        if not cases:
            result.append(token)
        if token.word == "CASE" and not named and position + 1 < len(item):
            cases += 1
    return None if cases else result


def _can_be_alias(token: Token, dialect: Dialect) -> bool:
    return token.is_name or (token.kind is Kind.STRING and dialect.sqlglot in _STRING_ALIASES)


def _alias_first(item: Tokens, top: Tokens, dialect: Dialect) -> Entry | None:
    """Read SQL Server's ``name = expression`` and DuckDB's ``name: expression``."""
    sign = {"tsql": "=", "duckdb": ":"}.get(dialect.sqlglot)
    if len(item) > 2 and sign and item[1].text == sign and item[1] in top and _can_be_alias(item[0], dialect):
        if item[0].text.startswith("@"):
            raise ColumnUnmapped(
                f"The query assigns to the variable {item[0].text}.", hint="Write a SELECT that returns columns."
            )
        return Entry(item[2:], item[0])
    return None


def _has_bare_alias(item: Tokens, top: Tokens, dialect: Dialect) -> bool:
    """Whether the last token is, beyond doubt, an alias without AS."""
    if len(top) < 2 or top[-1] is not item[-1] or not _can_be_alias(top[-1], dialect):
        return False
    before, last = top[-2:]
    if last.word in ENDING or any(token.word in ("IS", "OPERATOR") for token in top):
        return False
    if last.kind is Kind.STRING and (before.kind is Kind.STRING or before.word in TYPING or before.text[0] == "_"):
        return False
    if before.kind is Kind.WORD and len(top) > 2 and _ends_operand(top[-3]) and before.word not in ENDING:
        # a word between two operands: an operator of some system
        return False
    if before.kind in (Kind.WORD, Kind.NUMBER) and before.stop == last.start:
        return False
    return _ends_operand(before)


def _ends_operand(token: Token) -> bool:
    if token.kind is Kind.WORD:
        return token.word not in EXPECTING
    return token.kind is not Kind.SIGN or token.text in (")", "]", "}")


def is_column(tokens: Tokens, dialect: Dialect) -> bool:
    """Whether the expression is a column by itself: ``a``, ``t."A#"``, ``[srv].[db].[dbo].[t].[a]``."""
    if not tokens or len(tokens) % 2 == 0:
        dots = [token for token in tokens if token.text == "."]
        # db..table.column
        if not tokens or 2 * len(dots) != len(tokens):
            return False
    if not (tokens[0].is_name and tokens[-1].is_name):
        return False
    if any(not (token.is_name or token.text == ".") for token in tokens):
        return False
    if any(a.is_name and b.is_name for a, b in zip(tokens, tokens[1:], strict=False)):
        return False
    if len(tokens) > 1:
        return tokens[-1].word not in ("NEXTVAL", "CURRVAL")
    word = tokens[0].word
    if dialect.sqlglot == "tsql" and word.startswith("@"):
        return False
    return word not in VALUES and (word not in ("USER", "UID") or dialect.sqlglot in _USER_COLUMN)


def trimmed(tokens: Tokens) -> tuple[Tokens, frozenset[str]]:
    """Return the expression without RTRIM, TRIM and LTRIM of one argument around it, and which there were."""
    found: set[str] = set()
    while len(tokens) > 3 and tokens[0].word in _TRIMS and tokens[1].text == "(" and tokens[-1].text == ")":
        inner = tokens[2:-1]
        depth = tokens[1].depth
        plain = all(token.depth > depth for token in inner)
        own = [token for token in inner if token.depth == depth + 1]
        if not plain or any(token.text == "," or token.word in ("FROM", "COLLATE") for token in own):
            break
        found.add(tokens[0].word)
        tokens = inner
    return tokens, frozenset(found)

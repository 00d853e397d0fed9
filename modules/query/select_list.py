"""Parses one item of a select list into expression and alias. An item that is ambiguous is rejected."""

from __future__ import annotations

from collections.abc import Sequence

from connections.sdk.errors import ColumnUnmapped
from connections.sdk.records import dataclass
from connections.sdk.sql.dialect import Dialect
from modules.query.pieces import TokenKind
from modules.query.tokens import Token, source_text
from modules.query.words import ENDING, EXPECTING, TYPING, VALUES

Tokens = Sequence[Token]

_TRIMS = frozenset({"TRIM", "RTRIM", "LTRIM"})


@dataclass(frozen=True, slots=True)
class SelectItem:
    """An item of a select list: the tokens of its expression, and its alias if there is one."""

    expression: Tokens
    alias: Token | None


def is_star(item: Tokens, dialect: Dialect) -> bool:
    """Return whether the item stands for several columns whose names are not in the text."""
    top = [token for token in item if token.depth == item[0].depth]
    for position, token in enumerate(top):
        if token.text == "*" and (position == 0 or top[position - 1].text == "."):
            return True
    spreading = dialect.grammar.spreading
    spreads = any(
        token.word in spreading and following.text == "(" for token, following in zip(item, item[1:], strict=False)
    )
    return spreads or (dialect.grammar.unnest_spreads and item[0].word == "UNNEST")


def parse_item(item: Tokens, number: int, dialect: Dialect) -> SelectItem:
    """Return the item's expression and alias. Raise ColumnUnmapped if they cannot be separated with certainty."""
    top = _outermost(item)
    if top is None:
        raise unmapped(item, number, "cannot be read: its CASE has no END")
    if parsed := _alias_first(item, top, dialect):
        return parsed
    words = [token.word for token in top]
    if "AS" in words[1:]:
        if words[-2] != "AS" or top[-1] is not item[-1] or not _can_be_alias(top[-1], dialect):
            raise unmapped(item, number, "cannot be read: its AS is not followed by a single name")
        if words.count("AS") > 1 and not dialect.grammar.inner_aliases:
            raise unmapped(item, number, "has two AS")
        return SelectItem(item[:-2], item[-1])
    if is_column(item, dialect):
        return SelectItem(item, None)
    if not _has_bare_alias(item, top, dialect):
        raise unmapped(item, number, "has no unambiguous name")
    return SelectItem(item[:-1], item[-1])


def unmapped(item: Tokens, number: int, what: str) -> ColumnUnmapped:
    """Return the error for an item without a certain name."""
    text = source_text(item)
    return ColumnUnmapped(
        f"Column {number} of the query, {text[:80]}, {what}.",
        hint="Give it an alias with AS, as in a + b AS total.",
    )


def _outermost(item: Tokens) -> list[Token] | None:
    """Return the tokens outside brackets and CASE .. END (including CASE and END); None if END is missing."""
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
    return token.is_name or (token.kind is TokenKind.STRING and dialect.grammar.string_aliases)


def _alias_first(item: Tokens, top: Tokens, dialect: Dialect) -> SelectItem | None:
    """Parse SQL Server's ``name = expression`` and DuckDB's ``name: expression``."""
    sign = dialect.grammar.alias_sign
    if len(item) > 2 and sign and item[1].text == sign and item[1] in top and _can_be_alias(item[0], dialect):
        if item[0].text.startswith("@"):
            raise ColumnUnmapped(
                f"The query assigns to the variable {item[0].text}.", hint="Write a SELECT that returns columns."
            )
        return SelectItem(item[2:], item[0])
    return None


def _has_bare_alias(item: Tokens, top: Tokens, dialect: Dialect) -> bool:
    """Return whether the last token is certainly an alias without AS."""
    if len(top) < 2 or top[-1] is not item[-1] or not _can_be_alias(top[-1], dialect):
        return False
    before, last = top[-2:]
    if last.word in ENDING or any(token.word in ("IS", "OPERATOR") for token in top):
        return False
    if last.kind is TokenKind.STRING and (
        before.kind is TokenKind.STRING or before.word in TYPING or before.text[0] == "_"
    ):
        return False
    if before.kind is TokenKind.WORD and len(top) > 2 and _ends_operand(top[-3]) and before.word not in ENDING:
        # a word between two operands may be an operator of some system
        return False
    if before.kind in (TokenKind.WORD, TokenKind.NUMBER) and before.stop == last.start:
        return False
    return _ends_operand(before)


def _ends_operand(token: Token) -> bool:
    if token.kind is TokenKind.WORD:
        return token.word not in EXPECTING
    return token.kind is not TokenKind.SIGN or token.text in (")", "]", "}")


def is_column(tokens: Tokens, dialect: Dialect) -> bool:
    """Return whether the expression is just a column: ``a``, ``t."A#"``, ``[srv].[db].[dbo].[t].[a]``."""
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
    if dialect.grammar.at_variables and word.startswith("@"):
        return False
    return word not in VALUES and (word not in ("USER", "UID") or dialect.grammar.user_is_column)


def trimmed(tokens: Tokens) -> tuple[Tokens, frozenset[str]]:
    """Return the expression without RTRIM, TRIM and LTRIM (of one argument) around it, and their names."""
    trims: set[str] = set()
    while len(tokens) > 3 and tokens[0].word in _TRIMS and tokens[1].text == "(" and tokens[-1].text == ")":
        inner = tokens[2:-1]
        depth = tokens[1].depth
        plain = all(token.depth > depth for token in inner)
        own = [token for token in inner if token.depth == depth + 1]
        if not plain or any(token.text == "," or token.word in ("FROM", "COLLATE") for token in own):
            break
        trims.add(tokens[0].word)
        tokens = inner
    return tokens, frozenset(trims)

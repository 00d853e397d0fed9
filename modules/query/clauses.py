"""Finds the clauses of a query by their keywords at the outermost depth, in the context that each keyword requires."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from connections.sdk.records import dataclass
from connections.sdk.sql.grammar import SPECIFIC_CLAUSES, Grammar
from modules.query.pieces import TokenKind
from modules.query.tokens import Token

SET_OPERATIONS = frozenset({"UNION", "INTERSECT", "EXCEPT", "MINUS"})
# words between a set operation and the next query
_JOINING = frozenset({"ALL", "DISTINCT", "BY", "NAME", "CORRESPONDING"})
# clauses of the whole statement, which a derived table cannot contain
TAIL = frozenset({"FOR", "WITH ISOLATION", "OPTION", "SETTINGS", "FORMAT", "LOCK", "OPTIMIZE FOR", "QUERYNO", "SKIP"})
_ALONE = frozenset({"SELECT", "FROM", "WHERE", "HAVING", "QUALIFY", "INTO"})
_MODEL = ("DIMENSION", "IGNORE", "KEEP", "MAIN", "PARTITION", "REFERENCE", "RETURN", "UNIQUE")
_WITH_NEXT = {
    ("GROUP", "BY"): "GROUP BY",
    ("ORDER", "BY"): "ORDER BY",
    ("ORDER", "SIBLINGS"): "ORDER SIBLINGS BY",
    ("FETCH", "FIRST"): "FETCH FIRST",
    ("FETCH", "NEXT"): "FETCH FIRST",
    ("CONNECT", "BY"): "CONNECT BY",
    ("START", "WITH"): "CONNECT BY",
    ("PIVOT", "("): "PIVOT",
    ("UNPIVOT", "("): "UNPIVOT",
    ("USING", "SAMPLE"): "USING SAMPLE",
    ("WITH", "FILL"): "WITH FILL",
    ("OPTIMIZE", "FOR"): "OPTIMIZE FOR",
    ("SKIP", "LOCKED"): "SKIP",
    ("USE", "CURRENTLY"): "SKIP",
    ("WAIT", "FOR"): "SKIP",
    ("LOCK", "IN"): "LOCK",
    **{("WITH", level): "WITH ISOLATION" for level in ("UR", "CS", "RS", "RR", "NC")},
    **{("MODEL", what): "MODEL" for what in _MODEL},
    **{("FOR", what): "FOR" for what in ("UPDATE", "SHARE", "NO", "KEY", "READ", "FETCH", "BROWSE")},
    ("FOR", "XML"): "FOR XML",
    ("FOR", "JSON"): "FOR JSON",
}
# a FROM after one of these belongs to it: IS DISTINCT FROM, FOR SYSTEM_TIME FROM .. TO, WITH FILL FROM .. TO
_OWNING_FROM = {
    "DISTINCT": ("IS", "NOT"),
    "SYSTEM_TIME": ("FOR",),
    "BUSINESS_TIME": ("FOR",),
    "APPLICATION_TIME": ("FOR",),
    "FILL": ("WITH",),
}
# also names in some systems: a clause only if something follows that cannot follow a name
_BEFORE_VALUE = frozenset({"LIMIT", "OFFSET", "WINDOW"})


@dataclass(frozen=True, slots=True)
class Clause:
    """A clause: its name and the index of its first token."""

    name: str
    index: int


@dataclass(frozen=True, slots=True)
class Head:
    """The part between SELECT and its list: where it ends, and the keyword because of which a subquery is needed."""

    stop: int
    name: str
    limited: bool


def split_clauses(tokens: Sequence[Token], top: Sequence[int], grammar: Grammar) -> list[Clause]:
    """Return the clauses in order, without the query's first keyword."""
    row = ["", *(tokens[index].word or tokens[index].text[:1] for index in top), "", ""]
    result: list[Clause] = []
    in_list = row[1] == "SELECT"
    for position, index in enumerate(top[1:], start=2):
        name = _name(row, position, grammar)
        if not name or (name in SPECIFIC_CLAUSES and name not in grammar.clauses):
            continue
        if name in SET_OPERATIONS and not _joins(tokens, index, grammar):
            continue
        # before FROM these words are columns
        if name in _BEFORE_VALUE and in_list:
            continue
        # PostgreSQL's FROM ROWS FROM (f(), g())
        if name == "FROM" and row[position - 1] == "ROWS" and not in_list:
            continue
        in_list = name == "SELECT" and row[1] != "FROM"
        result.append(Clause(name, index))
    return result


def _name(row: Sequence[str], position: int, grammar: Grammar) -> str:
    before, word, following = row[position - 1 : position + 2]
    if not word.isalpha() or before in (".", "AS"):
        return ""
    if word == "FROM" and row[position - 2] in _OWNING_FROM.get(before, ()):
        return ""
    if before == "FOR" and row[position - 2] in ("INDEX", "KEY"):
        # MySQL's FORCE INDEX FOR ORDER BY (name)
        return ""
    if word in _ALONE or word in SET_OPERATIONS:
        return word
    if word in _BEFORE_VALUE:
        return word if following.isalnum() or following in ("{", "(", "?", ":", "@", "$", '"', "`", "[") else ""
    return _WITH_NEXT.get((word, following)) or _system_specific(row, position, grammar)


def _system_specific(row: Sequence[str], position: int, grammar: Grammar) -> str:
    word, following, third = row[position : position + 3]
    if word not in grammar.clauses:
        return ""
    is_clause = {
        "OPTION": following == "(",
        "QUERYNO": following.isdigit(),
        # both words can also be names
        "SETTINGS": following[:1].isidentifier() and third == "=",
        "FORMAT": following[:1].isidentifier() and third in ("", "SETTINGS"),
    }
    return word if is_clause.get(word) else ""


def _joins(tokens: Sequence[Token], index: int, grammar: Grammar) -> bool:
    """Return whether another query follows UNION, EXCEPT, ...; ClickHouse and DuckDB also have ``* EXCEPT (a)``."""
    index += 1
    while index < len(tokens) and (tokens[index].text == "(" or tokens[index].word in _JOINING):
        index += 1
    openings = ("SELECT", "VALUES", "WITH", "TABLE", *(["FROM"] if grammar.from_first else []))
    return index < len(tokens) and tokens[index].word in openings


def pairs_names(tokens: Sequence[Token], join: Clause) -> bool:
    """Return whether the set operation matches columns by name, so that its other query may add columns."""
    joining = takewhile(lambda token: token.word in _JOINING, tokens[join.index + 1 :])
    return any(token.word in ("BY", "CORRESPONDING") for token in joining)


def select_head(tokens: Sequence[Token], index: int, grammar: Grammar) -> Head:
    """Parse DISTINCT, TOP (n) PERCENT WITH TIES and the like after the SELECT at ``index``."""
    name, limited, index = "", False, index + 1
    while index < len(tokens):
        word = tokens[index].word
        if _is_column(tokens, index):
            break
        if word in ("DISTINCT", "DISTINCTROW") or (word == "UNIQUE" and grammar.select_unique):
            name, index = "DISTINCT", index + 1
            if index + 1 < len(tokens) and tokens[index].word == "ON" and tokens[index + 1].text == "(":
                index = _after(tokens, index + 1)
        elif word == "ALL" or word in grammar.select_modifiers:
            index += 1
        elif _is_limit(tokens, index, grammar):
            name, limited, index = name or word, True, _after_limit(tokens, index)
        else:
            break
    return Head(index, name, limited)


def _is_column(tokens: Sequence[Token], index: int) -> bool:
    following = tokens[index + 1] if index + 1 < len(tokens) else None
    return following is None or following.text in (",", ".", "=") or following.word in ("AS", "FROM")


def _is_limit(tokens: Sequence[Token], index: int, grammar: Grammar) -> bool:
    word, following = tokens[index].word, tokens[index + 1 : index + 3]
    if grammar.top_is_reserved:
        return word == "TOP"
    count = following[following[0].text == "(" :][:1]
    return word in grammar.head_limits and any(
        token.kind is TokenKind.NUMBER or token.text in ("{", "?") for token in count
    )


def _after_limit(tokens: Sequence[Token], index: int) -> int:
    index = _after(tokens, index + 1)
    while index + 1 < len(tokens):
        if tokens[index].word == "PERCENT":
            index += 1
        elif tokens[index].word == "WITH" and tokens[index + 1].word == "TIES":
            index += 2
        else:
            break
    return index


def _after(tokens: Sequence[Token], index: int) -> int:
    """Return the index after the token at ``index``, or after its closing bracket."""
    depth, index = tokens[index].depth, index + 1
    if tokens[index - 1].text not in ("(", "{", "["):
        return index
    while tokens[index].depth > depth:
        index += 1
    return index + 1

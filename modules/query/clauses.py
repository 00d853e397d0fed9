"""Which words of a query begin a clause: a word counts only at the outermost depth and beside the words it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from modules.query.tokenizer import Kind, Token
from modules.query.words import SELECT_MODIFIERS

SET_OPERATIONS = frozenset({"UNION", "INTERSECT", "EXCEPT", "MINUS"})
# what may stand between one of these and the next query
_JOINING = frozenset({"ALL", "DISTINCT", "BY", "NAME", "CORRESPONDING"})
# clauses of the whole statement, which no derived table may hold
TAIL = frozenset({"FOR", "WITH ISOLATION", "OPTION", "SETTINGS", "FORMAT", "LOCK", "OPTIMIZE FOR", "QUERYNO", "SKIP"})
# these also write FROM t SELECT a
FROM_FIRST = frozenset({"clickhouse", "duckdb"})
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
# clauses that not every system has: elsewhere their words are names (a system that only its JDBC driver knows has all)
_ONLY_IN = {
    "CONNECT BY": {"db2i", "oracle"},
    "FOR JSON": {"tsql"},
    "FOR XML": {"tsql"},
    "LIMIT": {"clickhouse", "db2i", "duckdb", "mysql", "postgres", "sqlite"},
    "LOCK": {"mysql"},
    "MINUS": {"oracle"},
    "MODEL": {"oracle"},
    "OPTIMIZE FOR": {"db2i"},
    "PIVOT": {"duckdb", "oracle", "tsql"},
    "QUALIFY": {"clickhouse", "duckdb", "oracle"},
    "UNPIVOT": {"duckdb", "oracle", "tsql"},
    "USING SAMPLE": {"duckdb"},
    "WITH FILL": {"clickhouse"},
    "WITH ISOLATION": {"db2i"},
}
# a FROM behind one of these belongs to it: IS DISTINCT FROM, FOR SYSTEM_TIME FROM .. TO, WITH FILL FROM .. TO
_OWNING_FROM = {
    "DISTINCT": ("IS", "NOT"),
    "SYSTEM_TIME": ("FOR",),
    "BUSINESS_TIME": ("FOR",),
    "APPLICATION_TIME": ("FOR",),
    "FILL": ("WITH",),
}
# names in some systems: a clause only with something behind it that no name has
_BEFORE_VALUE = frozenset({"LIMIT", "OFFSET", "WINDOW"})


@dataclass(frozen=True, slots=True)
class Clause:
    """The clause's name and the index of its first token."""

    name: str
    index: int


@dataclass(frozen=True, slots=True)
class Head:
    """What stands between SELECT and its list: where it stops, and the word that makes a condition in place wrong."""

    stop: int
    name: str
    limited: bool


def clauses(tokens: Sequence[Token], top: Sequence[int], sqlglot: str) -> list[Clause]:
    """Return the clauses in their order; the first word of the query is not among them."""
    row = ["", *(tokens[index].word or tokens[index].text[:1] for index in top), "", ""]
    found: list[Clause] = []
    in_list = row[1] == "SELECT"
    for position, index in enumerate(top[1:], start=2):
        name = _name(row, position, sqlglot)
        if not name or (sqlglot and sqlglot not in _ONLY_IN.get(name, {sqlglot})):
            continue
        if name in SET_OPERATIONS and not _joins(tokens, index, sqlglot):
            continue
        # before FROM these are columns
        if name in _BEFORE_VALUE and in_list:
            continue
        # PostgreSQL's FROM ROWS FROM (f(), g())
        if name == "FROM" and row[position - 1] == "ROWS" and not in_list:
            continue
        in_list = name == "SELECT" and row[1] != "FROM"
        found.append(Clause(name, index))
    return found


def _name(row: Sequence[str], position: int, sqlglot: str) -> str:
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
    return _WITH_NEXT.get((word, following)) or _of_one_system(row, position, sqlglot)


def _of_one_system(row: Sequence[str], position: int, sqlglot: str) -> str:
    word, following, third = row[position : position + 3]
    if sqlglot == "tsql":
        return word if word == "OPTION" and following == "(" else ""
    if sqlglot == "db2i":
        return word if word == "QUERYNO" and following.isdigit() else ""
    if sqlglot == "clickhouse" and following[:1].isidentifier():
        # both are names, too
        return word if (word, third) in (("SETTINGS", "="), ("FORMAT", ""), ("FORMAT", "SETTINGS")) else ""
    return ""


def _joins(tokens: Sequence[Token], index: int, sqlglot: str) -> bool:
    """Whether a UNION, EXCEPT, ... stands before another query; ClickHouse and DuckDB also say ``* EXCEPT (a)``."""
    index += 1
    while index < len(tokens) and (tokens[index].text == "(" or tokens[index].word in _JOINING):
        index += 1
    openings = ("SELECT", "VALUES", "WITH", "TABLE", *(["FROM"] if sqlglot in FROM_FIRST else []))
    return index < len(tokens) and tokens[index].word in openings


def pairs_names(tokens: Sequence[Token], join: Clause) -> bool:
    """Whether the set operation pairs columns by their names, so that its other part may add some."""
    joining = takewhile(lambda token: token.word in _JOINING, tokens[join.index + 1 :])
    return any(token.word in ("BY", "CORRESPONDING") for token in joining)


def select_head(tokens: Sequence[Token], index: int, sqlglot: str) -> Head:
    """Read DISTINCT, TOP (n) PERCENT WITH TIES and the like behind the SELECT at ``index``."""
    name, limited, index = "", False, index + 1
    while index < len(tokens):
        word = tokens[index].word
        if _is_column(tokens, index):
            break
        if word in ("DISTINCT", "DISTINCTROW") or (word == "UNIQUE" and sqlglot in ("oracle", "")):
            name, index = "DISTINCT", index + 1
            if index + 1 < len(tokens) and tokens[index].word == "ON" and tokens[index + 1].text == "(":
                index = _behind(tokens, index + 1)
        elif word == "ALL" or (word in SELECT_MODIFIERS and sqlglot == "mysql"):
            index += 1
        elif _is_limit(tokens, index, sqlglot):
            name, limited, index = name or word, True, _behind_limit(tokens, index)
        else:
            break
    return Head(index, name, limited)


def _is_column(tokens: Sequence[Token], index: int) -> bool:
    following = tokens[index + 1] if index + 1 < len(tokens) else None
    return following is None or following.text in (",", ".", "=") or following.word in ("AS", "FROM")


def _is_limit(tokens: Sequence[Token], index: int, sqlglot: str) -> bool:
    word, following = tokens[index].word, tokens[index + 1 : index + 3]
    if sqlglot == "tsql":
        return word == "TOP"
    known = {"": ("TOP", "FIRST", "SKIP", "LIMIT"), "clickhouse": ("TOP",)}.get(sqlglot, ())
    count = following[following[0].text == "(" :][:1]
    return word in known and any(token.kind is Kind.NUMBER or token.text in ("{", "?") for token in count)


def _behind_limit(tokens: Sequence[Token], index: int) -> int:
    index = _behind(tokens, index + 1)
    while index + 1 < len(tokens):
        if tokens[index].word == "PERCENT":
            index += 1
        elif tokens[index].word == "WITH" and tokens[index + 1].word == "TIES":
            index += 2
        else:
            break
    return index


def _behind(tokens: Sequence[Token], index: int) -> int:
    """Return the index behind the token, or the brackets, at ``index``."""
    depth, index = tokens[index].depth, index + 1
    if tokens[index - 1].text not in ("(", "{", "["):
        return index
    while tokens[index].depth > depth:
        index += 1
    return index + 1

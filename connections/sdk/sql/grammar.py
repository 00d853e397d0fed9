"""Differences between systems in the grammar of queries that matter for splitting a query and adding conditions.

A dialect has one as its attribute ``grammar``. The default describes a system that is known only to its JDBC driver:
every clause is assumed that some system has, and text that systems read differently is refused.
"""

from __future__ import annotations

from connections.sdk.records import dataclass

# clauses that only some systems have; elsewhere their words are names
SPECIFIC_CLAUSES = frozenset(
    {
        *("CONNECT BY", "FOR JSON", "FOR XML", "LIMIT", "LOCK", "MINUS", "MODEL", "OPTIMIZE FOR", "PIVOT", "QUALIFY"),
        *("UNPIVOT", "USING SAMPLE", "WITH FILL", "WITH ISOLATION"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grammar:
    """The traits of a system's queries. Words are in upper case. Compared and hashed by identity.

    ``is_known`` is whether the traits are those of one system; if not, ambiguous text is refused.
    """

    is_known: bool = True

    # Tokens. The name of the sqlglot dialect whose tokenizer splits the text, and corrections of it
    sqlglot: str = ""
    # markers of comments until the end of the line; empty: the tokenizer's
    line_comments: tuple[str, ...] = ()
    # quotes of strings and of identifiers; empty: the tokenizer's
    string_quotes: tuple[str, ...] = ()
    identifier_quotes: tuple[str, ...] = ()
    # names may begin with #, @ and $
    name_signs: bool = False
    # names that begin with @ are variables
    at_variables: bool = False
    # all Unicode white space separates tokens, not only that of ASCII
    unicode_blanks: bool = False
    # /*! */ is executed
    executable_comments: bool = False
    # a backslash before a line break in a string is removed together with the line break
    backslash_joins_lines: bool = False
    # '{a,b}' may be an array
    array_literals: bool = False

    # Clauses. Those of `SPECIFIC_CLAUSES` that the system has, and of OPTION, QUERYNO, SETTINGS and FORMAT
    clauses: frozenset[str] = frozenset()
    # FROM t SELECT a
    from_first: bool = False
    # SELECT UNIQUE means SELECT DISTINCT
    select_unique: bool = False
    # words between SELECT and its list that change nothing in the result
    select_modifiers: frozenset[str] = frozenset()
    # words between SELECT and its list that limit the rows, before a number
    head_limits: frozenset[str] = frozenset()
    # TOP is such a word whatever follows it
    top_is_reserved: bool = False
    # WITH also names values, which are not visible outside a derived table
    with_names_values: bool = False
    # a second statement needs no semicolon
    statements_without_semicolon: bool = False
    # a line GO separates batches in the system's tools
    go_separates: bool = False
    # a derived table allows ORDER BY only with a row limit
    order_needs_limit: bool = False
    # the columns of a UNION have no names if its queries name them differently
    union_loses_names: bool = False

    # The select list
    # between alias and expression where the alias comes first
    alias_sign: str = ""
    # a string may be an alias
    string_aliases: bool = False
    # parts of an expression may have aliases, too
    inner_aliases: bool = False
    # an alias hides a column of the same name in WHERE
    aliases_shadow_columns: bool = False
    trailing_comma: bool = False
    # functions that stand for several columns
    spreading: frozenset[str] = frozenset()
    # UNNEST(struct) stands for several columns
    unnest_spreads: bool = False

    # Names
    # USER and UID are names of columns, not functions without brackets
    user_is_column: bool = False
    # words that are not accepted as a column name, besides those of all systems
    reserved: frozenset[str] = frozenset()
    # an unknown quoted name is read as a text
    unknown_names_are_text: bool = False
    # with suffixes, these are names of aggregates
    aggregate_prefixes: tuple[str, ...] = ()


UNKNOWN = Grammar(
    is_known=False,
    identifier_quotes=('"', "`"),
    name_signs=True,
    clauses=SPECIFIC_CLAUSES,
    select_unique=True,
    head_limits=frozenset({"TOP", "FIRST", "SKIP", "LIMIT"}),
    go_separates=True,
)

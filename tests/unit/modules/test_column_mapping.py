"""The columns of a query, read from its text, and the queries that are refused."""

from __future__ import annotations

import pytest

from connections import registry
from connections.sdk.errors import ColumnUnmapped, QueryInvalid
from modules.query.column_mapping import map_columns


def columns(kind: str, query: str) -> list[tuple[str, str, str, bool]]:
    mapping = map_columns(query, registry.dialect(kind))
    return [(c.dest_name, c.source_expression, c.source_name, c.trim) for c in mapping.columns]


def test_the_columns_of_a_query_are_mapped() -> None:
    query = 'SELECT "DCORD#" AS dcord, RTRIM(DCOTYP) AS dcotyp, DCODAT AS dcodat FROM LGDAT.QCRH'
    assert columns("as400", query) == [
        ("dcord", '"DCORD#"', "DCORD#", False),
        ("dcotyp", "DCOTYP", "DCOTYP", True),
        ("dcodat", "DCODAT", "DCODAT", False),
    ]


ENTRIES = [
    # kind, entry of the select list, destination name, source expression, source name, trim
    ("as400", "DCORD# dcord", "dcord", "DCORD#", "DCORD#", False),
    ("as400", "@ORD", "ord", "@ORD", "@ORD", False),
    ("as400", "LIB.QCRH.$A#@", "a", "LIB.QCRH.$A#@", "$A#@", False),
    ("as400", "A CONCAT B AS ab", "ab", "A CONCAT B", "", False),
    ("as400", "CURRENT TIMESTAMP AS now", "now", "CURRENT TIMESTAMP", "", False),
    ("as400", "A + 1 DAY AS tomorrow", "tomorrow", "A + 1 DAY", "", False),
    ("as400", "DCORD# AS DCORD#", "dcord#", "DCORD#", "DCORD#", False),
    ("sqlserver", "[Company Name]", "company_name", "[Company Name]", "Company Name", False),
    ("sqlserver", "[a]]b] AS [C]]d]", "C]d", "[a]]b]", "a]b", False),
    ("sqlserver", "[srv].[db]..[t].[c]", "c", "[srv].[db]..[t].[c]", "c", False),
    ("sqlserver", "total = a + b", "total", "a + b", "", False),
    ("sqlserver", "[My Total] = RTRIM(a)", "My Total", "a", "a", True),
    ("sqlserver", "LTRIM(RTRIM([a])) 'x y'", "x y", "[a]", "a", True),
    ("sqlserver", "CASE WHEN a = 1 THEN 'AS b' END AS c", "c", "CASE WHEN a = 1 THEN 'AS b' END", "", False),
    ("mysql", "`a``b` AS 'it''s'", "it's", "`a``b`", "a`b", False),
    ("mysql", '"text" AS t', "t", '"text"', "", False),
    ("mysql", "t.end AS start", "start", "t.end", "end", False),
    ("oracle", "t.a$# b", "b", "t.a$#", "a$#", False),
    ("oracle", "q'[it's, AS]' x", "x", "q'[it's, AS]'", "", False),
    ("clickhouse", "toDate(a) AS d", "d", "toDate(a)", "", False),
    ("clickhouse", "`A b` d", "d", "`A b`", "A b", False),
    ("postgresql", 'a AS "Ab""c"', 'Ab"c', "a", "a", False),
    ("postgresql", "a AS AB", "ab", "a", "a", False),
    ("postgresql", "t.a::numeric(10, 2) n", "n", "t.a::numeric(10, 2)", "", False),
    ("postgresql", "a::double precision p", "p", "a::double precision", "", False),
    ("postgresql", "a AT TIME ZONE 'UTC' z", "z", "a AT TIME ZONE 'UTC'", "", False),
    ("postgresql", "INTERVAL '1' DAY d", "d", "INTERVAL '1' DAY", "", False),
    ("postgresql", "RTRIM(a || b) AS c", "c", "a || b", "", True),
    ("postgresql", "RTRIM(a, '0') AS c", "c", "RTRIM(a, '0')", "", False),
    ("postgresql", "TRIM(BOTH 'x' FROM a) AS c", "c", "TRIM(BOTH 'x' FROM a)", "", False),
    ("postgresql", "trim ( a ) AS c", "c", "a", "a", True),
    ("postgresql", "(SELECT max(b) FROM u) AS m", "m", "(SELECT max(b) FROM u)", "", False),
    ("postgresql", "a IS DISTINCT FROM b AS c", "c", "a IS DISTINCT FROM b", "", False),
    ("postgresql", "a /* AS x */ -- AS y\n AS /* z */ c", "c", "a", "a", False),
    ("postgresql", "größe AS Größe", "größe", "größe", "größe", False),
    ("sqlite", "[a b] c", "c", "[a b]", "a b", False),
    ("duckdb", "c: a", "c", "a", "a", False),
    ("duckdb", "columns AS c", "c", "columns", "columns", False),
    ("duckdb", "[a, b] AS c", "c", "[a, b]", "", False),
    ("postgresql", "a minus", "minus", "a", "a", False),
    ("postgresql", "q.rows", "rows", "q.rows", "rows", False),
    ("postgresql", "qualify", "qualify", "qualify", "qualify", False),
    ("postgresql", "pivot(a) AS p", "p", "pivot(a)", "", False),
    ("sqlserver", "@@SERVERNAME AS s", "s", "@@SERVERNAME", "", False),
    ("jdbc", "A#B c", "c", "A#B", "A#B", False),
    ("jdbc", "`a b` c", "c", "`a b`", "a b", False),
]


@pytest.mark.parametrize(("kind", "entry", "dest", "expression", "source", "trim"), ENTRIES)
def test_an_entry_of_the_select_list_is_mapped(
    kind: str, entry: str, dest: str, expression: str, source: str, trim: bool
) -> None:
    query = f"SELECT first AS one, {entry}, 'FROM, x' AS last FROM t"
    assert columns(kind, query)[1] == (dest, expression, source, trim)


UNNAMED = [
    ("postgresql", "count(*)"),
    ("postgresql", "a + b"),
    ("postgresql", "RTRIM(a)"),
    ("postgresql", "a::double precision"),
    ("postgresql", "a::timestamp with time zone"),
    ("postgresql", "current_date"),
    ("postgresql", "user"),
    ("postgresql", "a COLLATE nocase"),
    ("postgresql", "a IS JSON OBJECT"),
    ("postgresql", "a OPERATOR(pg_catalog.+) b"),
    ("postgresql", "a AS b COLLATE c"),
    ("postgresql", 'U&"d\\0061t"'),
    ("postgresql", "a AS 'b'"),
    ("postgresql", "CASE WHEN a THEN b"),
    ("as400", "A CONCAT B"),
    ("as400", "CURRENT DATE"),
    ("as400", "A + 1 DAY"),
    ("as400", "NEXT VALUE FOR S"),
    ("oracle", "s.NEXTVAL"),
    ("oracle", "a MULTISET UNION b"),
    ("oracle", "SYSDATE"),
    ("mysql", "'a' 'b'"),
    ("mysql", "DATE '2020-01-01'"),
    ("mysql", "a DIV b"),
    ("mysql", "_utf8mb4 'x'"),
    ("mysql", "a + INTERVAL 1 DAY"),
    ("sqlserver", "NULL"),
    ("sqlserver", "@x = a"),
    ("sqlserver", "@x"),
    ("sqlserver", "@@SERVERNAME"),
    ("jdbc", "a MATCHES b"),
]


@pytest.mark.parametrize(("kind", "entry"), UNNAMED)
def test_an_entry_without_an_unambiguous_name_is_refused_with_its_text_and_a_hint(kind: str, entry: str) -> None:
    with pytest.raises(ColumnUnmapped) as caught:
        map_columns(f"SELECT a AS one, {entry} FROM t", registry.dialect(kind))
    assert entry.split()[0] in caught.value.message
    assert caught.value.hint


STARS = [
    ("postgresql", "SELECT * FROM t"),
    ("postgresql", "SELECT t.*, a AS b FROM t"),
    ("postgresql", "SELECT (r).* FROM t"),
    ("postgresql", "VALUES (1, 2)"),
    ("sqlserver", "SELECT TOP 5 [t].* FROM t"),
    ("clickhouse", "SELECT * EXCEPT (a) FROM t"),
    ("clickhouse", "SELECT untuple(a) FROM t"),
    ("duckdb", "SELECT COLUMNS('a.*') FROM t"),
    ("duckdb", "SELECT a FROM t UNION ALL BY NAME SELECT a, b FROM u"),
    ("duckdb", "FROM t"),
    ("jdbc", "SELECT a FROM t UNION CORRESPONDING SELECT a, b FROM u"),
    ("duckdb", "SELECT * EXCLUDE (a) REPLACE (b AS c) FROM t"),
]


@pytest.mark.parametrize(("kind", "query"), STARS)
def test_a_query_that_selects_a_star_has_no_column_mapping(kind: str, query: str) -> None:
    mapping = map_columns(query, registry.dialect(kind))
    assert (mapping.star, mapping.derived, mapping.columns) == (True, True, ())


def test_a_multiplication_or_count_is_not_a_star() -> None:
    mapping = map_columns("SELECT a * b AS c, count(*) AS n FROM t", registry.dialect("postgresql"))
    assert [column.dest_name for column in mapping.columns] == ["c", "n"]


DERIVED = [
    ("SELECT a FROM t UNION ALL SELECT b FROM u", "UNION"),
    ("SELECT a FROM t EXCEPT (SELECT b FROM u)", "EXCEPT"),
    ("SELECT a FROM t GROUP BY a", "GROUP BY"),
    ("SELECT a FROM t HAVING true", "HAVING"),
    ("SELECT DISTINCT a FROM t", "DISTINCT"),
    ("SELECT a FROM t LIMIT 1", "LIMIT"),
    ("SELECT a FROM t OFFSET 1", "OFFSET"),
    ("SELECT a FROM t FETCH NEXT ROW ONLY", "FETCH FIRST"),
    ("SELECT sum(a) AS a FROM t", "the aggregate SUM"),
    ('SELECT "sum"(a) AS a FROM t', "the aggregate SUM"),
    ("SELECT own(a) FILTER (WHERE b) AS a FROM t", "an aggregate"),
    ("SELECT own(a ORDER BY b) AS a FROM t", "an aggregate"),
    ("SELECT a FROM t ORDER BY max(a)", "the aggregate MAX"),
    ("SELECT lag(a) OVER (ORDER BY b) AS a FROM t", "the aggregate LAG"),
    ("SELECT own(a) OVER w AS a FROM t", "a window function"),
    ("SELECT unnest(a) AS a FROM t", "the function UNNEST"),
    ("SELECT random() AS a FROM t", "the function RANDOM"),
    ("WITH c AS (SELECT 1 AS a) SELECT DISTINCT a FROM c", "DISTINCT"),
    ("SELECT 1 AS a", "no FROM"),
]


@pytest.mark.parametrize(("query", "why"), DERIVED)
def test_a_query_that_needs_a_derived_table_is_mapped_with_the_reason(query: str, why: str) -> None:
    mapping = map_columns(query, registry.dialect("postgresql"))
    assert (mapping.derived, mapping.why) == (True, why)


@pytest.mark.parametrize(
    "query",
    [
        "WITH c AS (SELECT DISTINCT a, max(b) AS b FROM t GROUP BY a LIMIT 5) SELECT a FROM c",
        "SELECT a, (SELECT max(b) FROM u) AS b FROM (SELECT a FROM t UNION SELECT 1) AS s WHERE a IN (SELECT 1)",
        "SELECT a FROM t, unnest(t.b) AS x, generate_series(1, 2) AS y ORDER BY a",
        'SELECT t.limit AS "union", t.order AS "group by" FROM t WHERE t.offset > 1',
    ],
)
def test_a_query_needs_no_derived_table_because_of_a_subquery_or_a_name(query: str) -> None:
    assert not map_columns(query, registry.dialect("postgresql")).derived


REFUSED = [
    ("postgresql", ""),
    ("postgresql", " -- only a comment\n;"),
    ("postgresql", "SELECT a FROM t; SELECT b FROM u"),
    ("postgresql", "DELETE FROM t"),
    ("postgresql", "INSERT INTO t SELECT 1"),
    ("postgresql", "WITH d AS (DELETE FROM t RETURNING *) SELECT a FROM d"),
    ("postgresql", "WITH c AS (SELECT 1) INSERT INTO t SELECT * FROM c"),
    ("postgresql", "WITH c (a) AS (SELECT 1) DELETE FROM t USING c WHERE t.a = (SELECT a FROM c)"),
    ("sqlserver", "WITH c AS (SELECT 1 AS a) MERGE INTO t USING c ON 1 = 1 WHEN MATCHED THEN DELETE"),
    ("postgresql", "SELECT a INTO u FROM t"),
    ("postgresql", "SELECT a, FROM t"),
    ("postgresql", "SELECT FROM t"),
    ("postgresql", "TABLE t"),
    ("postgresql", "EXPLAIN SELECT a FROM t"),
    ("sqlserver", "SELECT a FROM t SELECT b FROM u"),
    ("sqlserver", "SELECT a FROM t DROP TABLE t"),
    ("sqlserver", "SELECT a FROM t FOR XML PATH('x')"),
    ("sqlserver", "EXEC sp_who"),
    ("as400", "SELECT A FROM FINAL TABLE (INSERT INTO T VALUES (1))"),
    ("mysql", "SELECT a FROM t INTO OUTFILE '/tmp/x'"),
    ("mysql", "SELECT a FROM t WHERE /*!50000 b = 1 OR */ c"),
    ("mysql", "SELECT /*! a */ b FROM t"),
    ("mysql", "SELECT a /*!40001 SQL_NO_CACHE */ FROM t"),
    ("sqlserver", "SELECT a FROM t WHERE b = 1\nGO\n"),
    ("oracle", "SELECT a FROM t\n/"),
    ("oracle", "SELECT nth_value(a, 2) FROM LAST OVER (ORDER BY b) AS c FROM t"),
    ("postgresql", "FROM t SELECT a"),
]


@pytest.mark.parametrize(("kind", "query"), REFUSED)
def test_anything_but_a_single_select_is_refused(kind: str, query: str) -> None:
    with pytest.raises(QueryInvalid) as caught:
        map_columns(query, registry.dialect(kind))
    assert caught.value.message and caught.value.hint

"""The exact text of queries with an added condition, in each dialect."""

from __future__ import annotations

import sqlite3

import pytest

from connections import registry
from connections.sdk.errors import ColumnUnmapped, QueryInvalid
from modules.query.rewrite import add_predicate, select_columns, select_highest

# ⟦ ⟧ mark the inserted text
IN_PLACE = [
    (
        "as400",
        'SELECT "DCORD#" AS dcord, RTRIM(DCOTYP) AS dcotyp, DCODAT AS dcodat FROM LGDAT.QCRH⟦ WHERE "DCORD#" > 5⟧',
    ),
    ("as400", "SELECT DCORD# dcord FROM LGDAT/QCRH⟦ WHERE DCORD# > 5⟧ WITH UR"),
    ("as400", "SELECT Q.DCORD# AS dcord, A CONCAT B AS ab FROM QCRH Q⟦ WHERE Q.DCORD# > 5⟧ ORDER BY 1 FOR READ ONLY"),
    (
        "as400",
        "SELECT @ORD AS dcord FROM QCRH WHERE ⟦(⟧X = 'WITH UR' OR $Y ¬= 2⟦) AND @ORD > 5⟧ FOR FETCH ONLY "
        "OPTIMIZE FOR 100 ROWS WITH NC",
    ),
    ("as400", "SELECT DATE(A) + 1 DAY AS dcord FROM QCRH⟦ WHERE (DATE(A) + 1 DAY) > 5⟧ FOR UPDATE OF A WITH RS"),
    (
        "as400",
        "SELECT A AS dcord FROM QCRH FOR SYSTEM_TIME AS OF '2020'⟦ WHERE A > 5⟧ WITH RS USE AND KEEP EXCLUSIVE LOCKS",
    ),
    ("as400", "SELECT A AS dcord FROM QCRH WHERE ⟦(⟧B = 1⟦) AND A > 5⟧ SKIP LOCKED DATA"),
    (
        "sqlserver",
        "SELECT q.[DCORD#] AS dcord FROM [erp].[lg dat].dbo.[QCRH] q WITH (NOLOCK, INDEX(1))⟦ WHERE q.[DCORD#] > 5⟧ "
        "OPTION (RECOMPILE);",
    ),
    ("sqlserver", "SELECT dcord = [DCORD#], [b]]c] 'B' FROM db..t WHERE ⟦(⟧[x y] = 1⟦) AND [DCORD#] > 5⟧ -- end"),
    ("sqlserver", ";WITH c AS (SELECT 1 AS a) SELECT a AS dcord FROM c⟦ WHERE a > 5⟧ ORDER BY a"),
    (
        "sqlserver",
        "SELECT a AS dcord FROM t FOR SYSTEM_TIME AS OF '2020' AS q INNER MERGE JOIN u ON q.a = u.a⟦ WHERE a > 5⟧",
    ),
    ("sqlserver", 'SELECT "DCORD#" AS dcord FROM #tmp WHERE ⟦(⟧a = N\'FROM\'⟦) AND "DCORD#" > 5⟧'),
    (
        "oracle",
        "SELECT /*+ INDEX(t i) */ t.D#$ dcord FROM t@remote t, u WHERE ⟦(⟧t.a = u.a(+) AND b = q'[it's FROM]'⟦) "
        "AND t.D#$ > 5⟧ FOR UPDATE NOWAIT",
    ),
    ("oracle", "SELECT a AS dcord FROM t AS OF TIMESTAMP SYSDATE - 1⟦ WHERE a > 5⟧"),
    ("oracle", "SELECT a AS dcord FROM t WHERE ⟦(⟧model = 3 AND limit > 2⟦) AND a > 5⟧ ORDER BY a"),
    (
        "mysql",
        "SELECT SQL_NO_CACHE `DCORD#` dcord, 'it\\'s FROM' AS s FROM t # FROM\nUSE INDEX FOR ORDER BY (i) WHERE "
        '⟦(⟧a = "x\\" y" OR b=5--1⟦) AND `DCORD#` > 5⟧ LOCK IN SHARE MODE',
    ),
    ("mysql", "SELECT a AS dcord FROM t USE INDEX FOR ORDER BY (i)⟦ WHERE a > 5⟧ ORDER BY a"),
    ("mysql", "SELECT /*! STRAIGHT_JOIN */ a AS dcord FROM t⟦ WHERE a > 5⟧ -- end\n"),
    (
        "clickhouse",
        "WITH 5 AS n SELECT a + n AS dcord FROM t FINAL ARRAY JOIN z PREWHERE x WHERE ⟦(⟧format = 'F' AND settings = 1"
        "⟦) AND (a + n) > 5⟧ # c",
    ),
    ("clickhouse", "SELECT a AS dcord FROM t⟦ WHERE a > 5⟧ SETTINGS max_threads = 1 FORMAT Native"),
    ("postgresql", "SELECT a AS dcord FROM t⟦ WHERE a > 5⟧;"),
    ("postgresql", "SELECT a AS dcord FROM t⟦ WHERE a > 5⟧ -- no newline; WHERE"),
    ("postgresql", "SELECT a AS dcord FROM t WHERE ⟦(⟧x = 1 -- or so\n OR y⟦) AND a > 5⟧ /* end */ ; -- FROM"),
    ("postgresql", "(SELECT a AS dcord FROM t WHERE ⟦(⟧x OR y⟦) AND a > 5⟧)"),
    ("postgresql", "SELECT a AS dcord FROM(t)⟦ WHERE a > 5 ⟧ORDER BY a"),
    ("postgresql", "SELECT a AS dcord, 'FROM x' AS s, (SELECT max(b) FROM u WHERE c) AS m FROM t⟦ WHERE a > 5⟧"),
    ("postgresql", "SELECT a AS dcord FROM t WHERE ⟦(⟧x IS NOT DISTINCT FROM 3⟦) AND a > 5⟧ FOR NO KEY UPDATE"),
    ("postgresql", "SELECT a AS dcord FROM t JOIN u USING (b) WHERE ⟦(⟧c LIKE '{since}%'⟦) AND a > 5⟧"),
    ("duckdb", "SELECT dcord: a FROM t POSITIONAL JOIN u⟦ WHERE a > 5⟧"),
    ("sqlite", "SELECT [DCORD#] dcord, `b c` FROM t INDEXED BY i WHERE ⟦(⟧x = 1⟦) AND [DCORD#] > 5⟧;;"),
    ("h2", "SELECT a AS dcord FROM t⟦ WHERE a > 5⟧"),
    ("jdbc", "SELECT a$ AS dcord FROM t WHERE ⟦(⟧d = {ts '2020-01-01 00:00:00'}⟦) AND a$ > 5⟧ WITH UR"),
]
# « and » mark the start and end of a derived table that is filtered on the alias dcord
OUTSIDE = [
    ("as400", "«SELECT A AS dcord FROM Q FETCH FIRST 10 ROWS ONLY» WITH UR"),
    ("as400", "WITH T AS (SELECT * FROM Q) «SELECT A AS dcord, COUNT(*) n FROM T GROUP BY A» FOR READ ONLY"),
    (
        "as400",
        "«SELECT A AS dcord, B FROM Q UNION ALL SELECT C, D FROM R⟦\n) pipekit_q (dcord, B) "
        "WHERE dcord > 5⟧ OPTIMIZE FOR 10 ROWS",
    ),
    (
        "sqlserver",
        "WITH c AS (SELECT 1 AS a) «SELECT DISTINCT a AS dcord FROM c ORDER BY a⟦ OFFSET 0 ROWS⟧» OPTION (MAXDOP 1);",
    ),
    ("sqlserver", "«SELECT TOP (10) PERCENT WITH TIES a AS dcord FROM t ORDER BY x»"),
    ("sqlserver", "«SELECT a AS dcord FROM t ORDER BY x OFFSET 5 ROWS FETCH NEXT 5 ROWS ONLY»"),
    ("sqlserver", "«SELECT TOP 5 a dcord FROM t UNION SELECT b FROM u ORDER BY 1⟦ OFFSET 0 ROWS⟧»"),
    ("sqlserver", "«SELECT MAX(a) AS 'dcord' FROM t⟦\n) pipekit_q WHERE [dcord] > 5⟧"),
    ("oracle", "«SELECT a AS dcord FROM t WHERE ROWNUM < 9»"),
    ("oracle", '«SELECT UNIQUE a AS "dcord" FROM t MINUS SELECT b FROM u⟦\n) pipekit_q WHERE "dcord" > 5⟧'),
    ("oracle", "«SELECT a AS dcord FROM t START WITH a = 1 CONNECT BY PRIOR a = b»"),
    ("mysql", "«SELECT a AS 'dcord' FROM t LIMIT 5, 10⟦\n) pipekit_q WHERE `dcord` > 5⟧ # end"),
    ("mysql", "«SELECT @n := @n + 1 AS dcord FROM t» LOCK IN SHARE MODE"),
    (
        "clickhouse",
        "«WITH toDate(d) AS dcord SELECT dcord, sumIf(a, b) AS s FROM t» SETTINGS max_threads = 1 FORMAT Native",
    ),
    ("clickhouse", "«SELECT dcord + 1 AS dcord, b FROM t»"),
    ("clickhouse", "«SELECT a AS dcord, FROM t ORDER BY a LIMIT 1 BY a»"),
    ("postgresql", "«SELECT a AS dcord FROM t LIMIT 5» FOR UPDATE; -- x"),
    ("postgresql", "«SELECT a AS dcord, row_number() OVER w AS n FROM t WINDOW w AS (ORDER BY a)»"),
    ("postgresql", "«SELECT a AS dcord, own_sum(DISTINCT b) AS s FROM t»"),
    ("postgresql", "«(SELECT a AS dcord FROM t) UNION (SELECT b FROM u) LIMIT 3» -- x"),
    ("postgresql", "(«SELECT DISTINCT a AS dcord FROM t -- c\nLIMIT 1»)"),
    ("duckdb", "«SELECT a AS dcord FROM t USING SAMPLE 10%»"),
    ("h2", "«SELECT TOP 5 a AS dcord FROM t»"),
    ("jdbc", "«SELECT FIRST 10 a AS dcord FROM t»"),
]


@pytest.mark.parametrize(("kind", "marked"), [*IN_PLACE, *OUTSIDE])
def test_the_condition_is_inserted_at_the_right_place(kind: str, marked: str) -> None:
    marked = marked.replace("«", "⟦SELECT * FROM (\n⟧").replace("»", "⟦\n) pipekit_q WHERE dcord > 5⟧")
    query = "".join(part.rpartition("⟧")[2] for part in marked.split("⟦"))
    expected = marked.replace("⟦", "").replace("⟧", "")
    assert add_predicate(query, registry.dialect(kind), "dcord", lambda e: f"{e} > 5") == expected


@pytest.mark.parametrize(
    ("kind", "name"),
    [("postgresql", '"DCORD#"'), ("sqlserver", "[DCORD#]"), ("mysql", "`DCORD#`"), ("clickhouse", "`DCORD#`")],
)
def test_a_star_query_is_filtered_in_a_derived_table_on_the_quoted_source_name(kind: str, name: str) -> None:
    result = add_predicate(
        "SELECT * FROM t;", registry.dialect(kind), "dcord", lambda e: f"{e} > 5", result_name="DCORD#"
    )
    assert result == f"SELECT * FROM (\nSELECT * FROM t\n) pipekit_q WHERE {name} > 5;"


def test_sqlite_does_not_read_the_name_of_a_missing_column_as_a_string() -> None:
    # if the column did not exist, "DCORD#" > 5 would compare a string and be true for every row
    dialect = registry.dialect("sqlite")
    result = add_predicate("SELECT * FROM t", dialect, "dcord", lambda e: f"{e} > 5", result_name="DCORD#")
    assert result == 'SELECT * FROM (\nSELECT * FROM t\n) pipekit_q WHERE pipekit_q."DCORD#" > 5'
    with sqlite3.connect(":memory:") as connection, pytest.raises(sqlite3.OperationalError, match="no such column"):
        connection.execute("CREATE TABLE t (a)")
        connection.execute(result)
    connection.close()


def test_a_star_query_without_the_source_name_is_refused() -> None:
    with pytest.raises(ColumnUnmapped, match="selects \\*"):
        add_predicate("SELECT * FROM t", registry.dialect("postgresql"), "dcord", lambda e: e)


@pytest.mark.parametrize(
    ("kind", "alias", "expected"),
    [
        ("postgresql", "User", '"user"'),
        ("oracle", "level", '"LEVEL"'),
        ("sqlserver", "key", "[key]"),
        ("h2", "Key", '"KEY"'),
        ("mysql", "Rank", "`Rank`"),
        ("duckdb", "show", '"show"'),
        ("sqlite", "raise", 'pipekit_q."raise"'),
    ],
)
def test_an_alias_that_is_a_keyword_is_quoted_in_the_case_that_the_system_folds_it_to(
    kind: str, alias: str, expected: str
) -> None:
    result = add_predicate(
        f"SELECT DISTINCT a AS {alias} FROM t", registry.dialect(kind), alias.lower(), lambda e: f"{e} > 5"
    )
    assert result.endswith(f"pipekit_q WHERE {expected} > 5")


def test_a_condition_with_or_is_put_in_parentheses() -> None:
    result = add_predicate(
        "SELECT a FROM t WHERE b", registry.dialect("sqlite"), "a", lambda e: f"{e} > 5 OR {e} IS NULL"
    )
    assert result == "SELECT a FROM t WHERE (b) AND (a > 5 OR a IS NULL)"


def test_the_condition_omits_only_a_trim_that_does_not_affect_the_order() -> None:
    query = "SELECT TRIM(a) AS a, RTRIM(b) AS b, LTRIM(RTRIM(c)) AS c FROM t"
    compared_by_column = {"a": "TRIM(a)", "b": "b", "c": "LTRIM(RTRIM(c))"}
    for column, compared in compared_by_column.items():
        result = add_predicate(query, registry.dialect("sqlserver"), column, lambda e: f"{e} >= 'x'")
        assert result == f"{query} WHERE {compared} >= 'x'"


def test_an_unknown_column_is_refused_with_the_names_of_the_columns_and_a_suggestion() -> None:
    query = 'SELECT "DCORD#" AS dcord, DCOTYP AS dcotyp FROM QCRH'
    with pytest.raises(ColumnUnmapped) as caught:
        add_predicate(query, registry.dialect("as400"), "DCORD#", lambda e: e)
    assert "“DCORD#”" in caught.value.message and "dcord, dcotyp" in caught.value.message
    assert "“dcord”" in caught.value.hint and "{placeholder}" in caught.value.hint


def test_a_name_that_two_columns_have_is_refused() -> None:
    with pytest.raises(ColumnUnmapped, match="several columns “a”"):
        add_predicate("SELECT a, b AS a FROM t", registry.dialect("postgresql"), "a", lambda e: e)


def test_a_row_limit_after_a_lock_clause_is_refused() -> None:
    for kind, query in (
        ("postgresql", "SELECT a FROM t FOR UPDATE LIMIT 5"),
        ("as400", "SELECT A FROM T FOR READ ONLY FETCH FIRST 5 ROWS ONLY"),
    ):
        with pytest.raises(QueryInvalid, match="has a row limit"):
            add_predicate(query, registry.dialect(kind), "a", lambda e: f"{e} > 5")


def test_columns_are_selected_by_alias_in_the_given_order() -> None:
    query = 'SELECT "DCORD#" AS dcord, RTRIM(b) AS "B b", c FROM t ORDER BY 1 WITH UR'
    result = select_columns(query, registry.dialect("as400"), {"c": "C", "B b": "b"})
    assert result == query.replace("SELECT", 'SELECT c, "B b" FROM (\nSELECT').replace(" WITH", "\n) pipekit_q WITH")


def test_a_derived_table_keeps_the_with_clause_first_and_option_last_for_sql_server() -> None:
    query = "WITH c AS (SELECT 1 AS a) SELECT a FROM c ORDER BY a OPTION (RECOMPILE)"
    assert select_highest(query, registry.dialect("sqlserver"), "a") == (
        "WITH c AS (SELECT 1 AS a) SELECT MAX(a) FROM (\nSELECT a FROM c ORDER BY a OFFSET 0 ROWS\n) pipekit_q "
        "OPTION (RECOMPILE)"
    )

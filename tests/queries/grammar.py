"""A Hypothesis strategy for queries, which can be executed on the tables that `TABLES` creates."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

TABLES = (
    'CREATE TABLE qcrh ("DCORD#" integer, "Company Name" varchar(40), dcotyp varchar(10), amount integer, grp integer)',
    "CREATE TABLE note (id integer, ref integer, body varchar(40))",
    """INSERT INTO qcrh VALUES (1, 'Müller & Co', 'AB  ', 5, 1), (2, 'O''Neil', ' AB', 3, 1), (3, NULL, 'B', NULL, 2),
    (4, 'FROM here', 'C   ', 9, 2), (5, 'x', NULL, 3, NULL), (6, 'x', 'B ', 7, 3),
    (7, '', '', 0, 3), (7, '', '', 0, 3)""",
    "INSERT INTO note VALUES (1, 1, 'one'), (2, 1, 'WHERE two'), (3, 2, NULL), (4, 9, 'nine')",
)

_GAPS = st.sampled_from([" ", " ", " ", "\n", "\t", "  ", " /* , FROM x WHERE */ ", " -- SELECT 'a FROM\n", "/**/ "])
_NUMBERS = [
    't."DCORD#"',
    "t.amount",
    "t.grp",
    "t.amount + 1",
    "coalesce(t.amount, 0)",
    "CASE WHEN t.amount IS DISTINCT FROM 3 THEN 1 ELSE 2 END",
    "(SELECT max(n.id) FROM note n WHERE n.ref = t.grp)",
    "length('a, FROM b WHERE c')",
    "CAST(t.amount AS integer)",
    "- t.amount",
    "amount",
    "grp * 2",
    "coalesce(amount, grp) - 1",
    "CASE WHEN grp > 1 THEN amount END",
    "CASE t.grp WHEN 1 THEN CASE WHEN t.amount > 3 THEN 1 END ELSE t.amount END",
]
_TEXTS = [
    't."Company Name"',
    "t.dcotyp",
    "RTRIM(t.dcotyp)",
    "rtrim( /* c */ ltrim(t.dcotyp) )",
    "TRIM(t.dcotyp)",
    "'it''s, FROM \"here\"; -- no'",
    "t.dcotyp || 'x'",
    "CASE WHEN t.dcotyp = 'B' THEN 'WHERE' END",
    "dcotyp",
]
_GROUPED = ["t.grp", "count(*)", "max(t.amount)", 'sum(t."DCORD#") + 0', "count(DISTINCT t.dcotyp)"]
_WINDOWS = ['row_number() OVER (ORDER BY t."DCORD#")', "sum(t.amount) OVER (PARTITION BY t.grp)"]
_SOURCES = [
    "qcrh t",
    "qcrh AS t",
    "qcrh t JOIN note n ON n.ref = t.grp",
    "qcrh t LEFT JOIN note n ON n.ref = t.grp AND n.body <> 'WHERE'",
    "(SELECT * FROM qcrh WHERE amount > 1 OR grp = 1) t",
    "common t",
    "qcrh t, note n",
]
# ordinary names in some systems, keywords in others
_WORDS = ["rows", "lock", "key", "model", "pivoted", "format", "settings", "label", "option", "skip", "sample", "top"]
_CONDITIONS = [
    "",
    "",
    "t.amount > 3",
    "t.amount > 3 OR t.grp = 1",
    "t.dcotyp <> 'WHERE x' -- or not\n OR t.grp IS NULL",
    "EXISTS (SELECT 1 FROM note m WHERE m.ref = t.grp)",
    "t.amount IS NOT DISTINCT FROM 3 OR NOT t.grp = 2 AND t.amount BETWEEN 1 AND 9",
    "(t.grp = 1) OR (t.grp = 2) /* ) */",
    "t.grp IN (SELECT ref FROM note WHERE id > 0 UNION SELECT 3)",
]
_ENDS = st.sampled_from(["", "", ";", " -- the end; WHERE", " /* FROM */ ;", "\n;\n-- x\n", "\n"])


@dataclass(frozen=True)
class Drawn:
    """A generated query. ``numbers`` tells for each column whether it is numeric."""

    text: str
    numbers: tuple[bool, ...]


@st.composite
def queries(draw: st.DrawFn, *, brackets: bool = True) -> Drawn:
    """Generate a query; with ``brackets``, it may be enclosed in parentheses, which SQLite does not accept."""
    shape = draw(st.sampled_from(["plain"] * 6 + ["distinct", "group", "union", "window", "limit", "order"]))
    numbers = draw(st.lists(st.booleans(), min_size=1, max_size=4))
    if shape == "group":
        numbers = [True] * len(numbers)
    expressions = [_expression(draw, is_number, shape) for is_number in numbers]
    items = [_item(draw, expression, position) for position, expression in enumerate(expressions)]
    if shape == "window":
        numbers.append(True)
        expressions.append(draw(st.sampled_from(_WINDOWS)))
        items.append(f"{expressions[-1]} AS win")
    gap, source = draw(_GAPS), draw(st.sampled_from(_SOURCES))
    text = f"SELECT{draw(_GAPS)}{'DISTINCT ' if shape == 'distinct' else ''}"
    text += f"{draw(_GAPS)},{gap}".join(items) + f"{draw(_GAPS)}FROM{gap}{source}"
    if condition := draw(st.sampled_from(_CONDITIONS)):
        text += f"{draw(_GAPS)}WHERE{gap}{condition}"
    text += _ending(draw, shape, expressions)
    if brackets and draw(st.integers(0, 9)) == 0:
        text = f"({text}\n)"
    if "common t" in text:
        text = (
            f"WITH common AS (SELECT * FROM qcrh WHERE grp <> 9 OR grp IS NULL),{gap}other AS (SELECT 1 AS one) {text}"
        )
    if draw(st.booleans()):
        text = text.replace("SELECT", "select").replace("FROM", "From").replace("WHERE", "where")
    return Drawn(text + draw(_ENDS), tuple(numbers))


def _expression(draw: st.DrawFn, is_number: bool, shape: str) -> str:
    if shape == "group":
        return draw(st.sampled_from(_GROUPED))
    return draw(st.sampled_from(_NUMBERS if is_number else _TEXTS))


def _item(draw: st.DrawFn, expression: str, position: int) -> str:
    """Return the expression with a unique alias; a simple column may have none."""
    form = draw(st.sampled_from(["as", "as", "AS", "quoted", "odd", "bare", "barequoted", "none", "crossed", "word"]))
    gap = draw(_GAPS)
    if (
        form == "none"
        and position == 0
        and expression.startswith("t.")
        and " " not in expression.replace("Company Name", "")
    ):
        return expression
    if form in ("as", "AS"):
        return f"{expression}{gap}{form}{draw(_GAPS)}c{position}"
    if form == "quoted":
        return f'{expression}{gap}AS "C {position}"'
    if form == "odd":
        return f'{expression}{gap}As "from, {position}""#"'
    if form == "crossed" and position < 4:
        # the name of another column, which a condition on that name refers to
        return f"{expression} AS {('grp', 'amount', 'dcotyp', 'id')[position]}"
    if form == "word":
        return f"{expression} AS {_WORDS[position * 3 + draw(st.integers(0, 2))]}"
    if form == "bare":
        return f"{expression}{gap}Bare{position}"
    return f'{expression}{gap}"where {position}"'


def _ending(draw: st.DrawFn, shape: str, expressions: list[str]) -> str:
    gap = draw(_GAPS)
    positions = ", ".join(str(position) for position in range(1, len(expressions) + 1))
    if shape == "group":
        return f"{gap}GROUP{draw(_GAPS)}BY t.grp" + draw(st.sampled_from(["", " HAVING count(*) > 1"]))
    if shape == "union":
        other = draw(st.sampled_from(["UNION", "UNION ALL", "EXCEPT", "INTERSECT"]))
        return f"{gap}{other}{gap}SELECT {', '.join(expressions)} FROM qcrh t WHERE t.grp > 1"
    if shape == "limit":
        return f"{gap}ORDER BY {positions}{gap}LIMIT {draw(st.integers(0, 5))}"
    if shape == "order":
        return f"{gap}ORDER{gap}BY 1 DESC"
    return ""

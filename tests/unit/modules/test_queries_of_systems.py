"""Queries as people write them for systems that do not run here, and what the source gets instead, mark by mark.

A line of `queries/{kind}.txt` is one query with a watermark on its column x: ⟦ ⟧ enclose what is put in, « » are the
two ends of a derived table that is filtered on x.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from connections import registry
from modules.query.rewrite import add_predicate, no_rows
from tests.queries import grammar

DIRECTORY = Path(grammar.__file__).parent
BEFORE, BEHIND = "SELECT * FROM (\n", "\n) pipekit_q WHERE x > 5"
MARKED = [
    pytest.param(kind, line, id=f"{kind}-{number}")
    for kind in registry.kinds()
    if (path := DIRECTORY / f"{kind}.txt").exists()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
]


@pytest.mark.parametrize(("kind", "marked"), MARKED)
def test_the_source_gets_the_query_with_the_condition_where_it_belongs(kind: str, marked: str) -> None:
    marked = marked.replace("«", f"⟦{BEFORE}⟧").replace("»", f"⟦{BEHIND}⟧")
    query = "".join(part.rpartition("⟧")[2] for part in marked.split("⟦"))
    expected = marked.replace("⟦", "").replace("⟧", "")
    dialect = registry.dialect(kind)
    assert add_predicate(query, dialect, "x", lambda expression: f"{expression} > 5") == expected
    assert "1 = 0" in no_rows(query, dialect)

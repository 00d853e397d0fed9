"""Example queries for systems that the tests cannot run, with the exact text that is executed on the source.

Each line of `queries/{kind}.txt` is a query with a watermark on its column x: ⟦ ⟧ enclose the inserted text, « » mark
the start and end of a derived table that is filtered on x.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from connections import registry
from modules.query.rewrite import add_predicate, select_highest
from tests.queries import grammar

DIRECTORY = Path(grammar.__file__).parent
BEFORE, AFTER = "SELECT * FROM (\n", "\n) pipekit_q WHERE x > 5"
FILES = {kind: path for kind in registry.kinds() if (path := DIRECTORY / f"{kind}.txt").exists()}


@pytest.mark.parametrize("kind", FILES)
def test_the_condition_is_inserted_at_the_right_place(kind: str) -> None:
    lines = FILES[kind].read_text(encoding="utf-8").splitlines()
    assert lines
    for line in lines:
        check_query(kind, line)


def check_query(kind: str, marked: str) -> None:
    """Check the result for a query in which marks show where text is inserted."""
    marked = marked.replace("«", f"⟦{BEFORE}⟧").replace("»", f"⟦{AFTER}⟧")
    query = "".join(part.rpartition("⟧")[2] for part in marked.split("⟦"))
    expected = marked.replace("⟦", "").replace("⟧", "")
    dialect = registry.dialect(kind)
    assert add_predicate(query, dialect, "x", lambda expression: f"{expression} > 5") == expected
    assert "SELECT MAX(" in select_highest(query, dialect, "x", result_name="x")

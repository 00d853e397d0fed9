"""The semicolon at the end of a query is removed, also in front of comments; nothing else is changed."""

from __future__ import annotations

import pytest

from connections.sdk.sql.final_semicolon import without_final_semicolon


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT 1", "SELECT 1"),
        ("SELECT 1;", "SELECT 1"),
        ("SELECT 1 ; \n", "SELECT 1  \n"),
        ("SELECT 1;;", "SELECT 1;"),
        ("SELECT 1; -- the end;", "SELECT 1 -- the end;"),
        ("SELECT 1 /* ; */ ; /* ; */", "SELECT 1 /* ; */  /* ; */"),
        ("SELECT ';'", "SELECT ';'"),
        ("SELECT '; -- x'", "SELECT '; -- x'"),
        ("SELECT 'it''s; '", "SELECT 'it''s; '"),
        ('SELECT ";" ;', 'SELECT ";" '),
        ("SELECT `;`", "SELECT `;`"),
        ("SELECT $$;$$", "SELECT $$;$$"),
        ("SELECT $a$ ; $$ ; $a$;", "SELECT $a$ ; $$ ; $a$"),
        ("SELECT 1 -- ;", "SELECT 1 -- ;"),
        ("SELECT 1; DELETE FROM t", "SELECT 1; DELETE FROM t"),
        ("", ""),
    ],
)
def test_only_the_semicolon_at_the_end_of_a_query_is_removed(query: str, expected: str) -> None:
    assert without_final_semicolon(query) == expected

from __future__ import annotations

import psycopg


def test_a_fresh_database_answers_and_is_utf8(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SHOW server_encoding").fetchone()
    assert row == ("UTF8",)

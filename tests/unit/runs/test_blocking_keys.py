"""The foreign keys that explain a violation reported by PostgreSQL, whatever the language of its messages."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from connections.connectors.postgresql.errors.statement import from_server
from connections.sdk.schema import TableName
from connections.sdk.sql.foreign_keys import ForeignKey, ForeignKeyViolated
from runs.engine.publish.foreign_keys import explain_violations

LINES = ForeignKey(
    constraint="of_order",
    table=TableName("sync", "lines"),
    columns=("o",),
    referenced=TableName("sync", "orders"),
    references=("id",),
)
PARENT = replace(LINES, constraint="of_parent", table=TableName("sync", "orders"), own=True)
DELETED = 'update or delete on table "orders" violates foreign key constraint "x" on table "lines"'
DELETED_GERMAN = "Aktualisieren oder Löschen in Tabelle »orders« verletzt Fremdschlüssel-Constraint »x« von Tabelle »l«"
INSERTED = 'insert or update on table "orders" violates foreign key constraint "x"'
INSERTED_GERMAN = "Einfügen oder Aktualisieren in Tabelle »orders« verletzt Fremdschlüssel-Constraint »x«"


class ServerError(Exception):
    """An error as psycopg raises it."""

    def __init__(self, message: str, table: str, constraint: str, *, sqlstate: str = "23503") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        texts = {"message_detail": None, "message_hint": None, "context": None, "schema_name": "sync"}
        self.diag = SimpleNamespace(
            message_primary=message, table_name=table or None, constraint_name=constraint or None, **texts
        )


@pytest.mark.parametrize(
    ("message", "table", "constraint", "blamed"),
    [
        (DELETED, "lines", "of_order", "Rows of sync.lines (foreign key of_order"),
        (DELETED_GERMAN, "lines", "of_order", "Rows of sync.lines (foreign key of_order"),
        (DELETED, "orders", "of_parent", "Rows of sync.orders (foreign key of_parent"),
        # a partition's copy of the key has a name of its own
        (DELETED, "lines", "of_order_1", "Rows of sync.lines (foreign key of_order, ON DELETE NO ACTION), sync.orders"),
        # the destination's own key
        (INSERTED, "orders", "of_customer", ""),
        (INSERTED_GERMAN, "orders", "of_customer", ""),
        (INSERTED_GERMAN, "orders", "of_parent", ""),
        # of the same name as a key of another table
        (INSERTED, "orders", "of_order", ""),
        (INSERTED_GERMAN, "orders", "of_order", ""),
        # raised by a trigger
        ("no such customer", "", "", ""),
    ],
)
def test_the_keys_of_other_tables_are_blamed_only_if_the_delete_has_violated_one(
    message: str, table: str, constraint: str, blamed: str
) -> None:
    dest: Any = SimpleNamespace(dialect=SimpleNamespace(updates_in_place=True))
    error = from_server(ServerError(message, table, constraint), name="dw")
    assert isinstance(error, ForeignKeyViolated)
    hint = error.hint
    with suppress(ForeignKeyViolated), explain_violations(dest, [LINES, PARENT]):
        raise error
    assert error.hint.startswith(blamed)
    assert (error.hint == hint) == (not blamed)


def test_a_key_that_restricts_a_delete_is_a_foreign_key_of_postgresql_18_too() -> None:
    error = from_server(ServerError(DELETED, "lines", "of_order", sqlstate="23001"), name="dw")
    assert isinstance(error, ForeignKeyViolated)
    assert (error.constraint, error.table, error.is_referencing) == ("of_order", LINES.table, False)

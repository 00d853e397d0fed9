"""Database triggers that reject updates of finished runs, for SQLite and PostgreSQL.

SQLite drops a table's triggers when a migration rebuilds the table, so a migration that alters run_log ends with
`protect`. Only `module` may change, to NULL, when the module is deleted. Finished runs may be deleted.
"""

from __future__ import annotations

from typing import Any

_FINAL = "('success', 'dry_run', 'error', 'cancelled', 'refused')"
_MESSAGE = "a finished run is not rewritten"

_SQLITE = (
    "DROP TRIGGER IF EXISTS run_log_is_final",
    "DROP TRIGGER IF EXISTS run_log_keeps_module",
    """
    CREATE TRIGGER run_log_is_final BEFORE UPDATE OF {columns} ON run_log
    WHEN OLD.status IN {final}
    BEGIN SELECT RAISE(ABORT, '{message}'); END
    """,
    """
    CREATE TRIGGER run_log_keeps_module BEFORE UPDATE OF module_id ON run_log
    WHEN OLD.status IN {final} AND NEW.module_id IS NOT NULL AND NEW.module_id IS NOT OLD.module_id
    BEGIN SELECT RAISE(ABORT, '{message}'); END
    """,
)
_POSTGRESQL = (
    """
    CREATE OR REPLACE FUNCTION run_log_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF to_jsonb(NEW) - 'module_id' = to_jsonb(OLD) - 'module_id'
         AND (NEW.module_id IS NULL OR NEW.module_id IS NOT DISTINCT FROM OLD.module_id) THEN
        RETURN NEW;
      END IF;
      RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation';
    END $$
    """,
    "DROP TRIGGER IF EXISTS run_log_is_final ON run_log",
    """
    CREATE TRIGGER run_log_is_final BEFORE UPDATE ON run_log
    FOR EACH ROW WHEN (OLD.status IN {final}) EXECUTE FUNCTION run_log_is_final()
    """,
)
_STATEMENTS = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}


def protect(apps: Any, schema_editor: Any) -> None:
    """Create the triggers on run_log, replacing older versions; for RunPython."""
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        columns = connection.introspection.get_table_description(cursor, "run_log")
        names = ", ".join(f'"{column.name}"' for column in columns if column.name != "module_id")
        for statement in _STATEMENTS[connection.vendor]:
            cursor.execute(statement.format(columns=names, final=_FINAL, message=_MESSAGE))


def release(apps: Any, schema_editor: Any) -> None:
    """Drop the triggers; the reverse of `protect`."""
    on_table = " ON run_log" if schema_editor.connection.vendor == "postgresql" else ""
    for name in ("run_log_is_final", "run_log_keeps_module"):
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}{on_table}")

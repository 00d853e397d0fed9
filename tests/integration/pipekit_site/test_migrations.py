"""Migrations of the metadata: none is missing, and PostgreSQL gets the same constraints and triggers as SQLite."""

from __future__ import annotations

import psycopg
import pytest
from django.core.management import call_command

from connections import registry
from tests.processes.install import Install


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def insert(connection: psycopg.Connection[tuple[object, ...]], status: str) -> int:
    row = connection.execute(
        """
        INSERT INTO run_log (module_name, token, status, trigger, actor, attempt, strategy, dry_run, full_refresh,
            force, restore, publish_method, source_query, merge_sql, watermarks, warnings, steps, log_path,
            dest_lock_key, host, machine_id, boot_id, heartbeat, cancel_requested, created_at, updated_at)
        VALUES ('m', gen_random_uuid()::text, %s, 'manual', '', 1, 'full', false, false, false, false, '', '', '', '{}',
            '[]', '[]', '', 'dw sync.t', '', '', '', 0, false, now(), now())
        RETURNING id
        """,
        [status],
    ).fetchone()
    assert row is not None
    return int(str(row[0]))


@pytest.mark.matrix
@pytest.mark.matrix
def test_postgresql_enforces_one_active_run_per_destination_and_protects_ended_runs(
    database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    result = Install(tmp_path_factory.mktemp("var")).manage(
        "migrate", "--verbosity", "0", PIPEKIT_DATABASE=database_url
    )
    assert result.code == 0, result.err
    with psycopg.connect(database_url, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM driver").fetchone() == (len(registry.kinds()),)
        active, ended = insert(connection, "running"), insert(connection, "success")
        with pytest.raises(psycopg.errors.UniqueViolation):
            insert(connection, "queued")
        connection.execute("UPDATE run_log SET read = 1 WHERE id = %s", [active])
        for change in ("read = 1", "status = 'running'", "module_id = 1"):
            with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="not rewritten"):
                connection.execute(f"UPDATE run_log SET {change} WHERE id = %s", [ended])
        connection.execute("DELETE FROM run_log WHERE id = %s", [ended])
        with pytest.raises(psycopg.errors.CheckViolation, match="connection_password_is_a_reference"):
            connection.execute(
                """
                INSERT INTO connection (name, driver_id, jdbc_url, username, password, supports_deletes, options,
                    max_parallel, last_test_message, created_at, updated_at)
                VALUES ('w', 1, '', '', 'geheim', true, '{}', 1, '', now(), now())
                """
            )


def test_check_has_no_warnings_with_metadata_in_postgresql(
    database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data_dir = tmp_path_factory.mktemp("var")
    result = Install(data_dir).manage("check", "--fail-level", "WARNING", PIPEKIT_DATABASE=database_url)
    assert result.code == 0, result.err

"""Metadata in PostgreSQL: created by the first command, checked by `doctor`, errors, and moving from SQLite."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from connections import registry
from tests.harness.bench import Bench
from tests.processes.commands import CommandResult
from tests.processes.install import Install

# starts many processes
pytestmark = pytest.mark.matrix

NewDatabase = Callable[[], str]
SCHEDULED = """
groups: {nightly: {members: [{module: orders}]}}
schedules: {at-four: {group: nightly, cron_expr: "0 4 * * *"}}
"""
DUMP_ARGUMENTS = (
    "--format jsonl --natural-primary --natural-foreign -e contenttypes -e auth.permission -e admin -e sessions"
)


@pytest.fixture
def install(new_database: NewDatabase, tmp_path: Path) -> Install:
    """An empty install; its metadata and the bench's destination are different databases."""
    return Install(_create(tmp_path / "var"), new_database())


@pytest.fixture
def migrated(new_metadata: NewDatabase, tmp_path: Path) -> Install:
    """An empty install whose metadata is migrated."""
    return Install(_create(tmp_path / "var"), new_metadata())


def _create(directory: Path) -> Path:
    directory.mkdir(mode=0o711)
    return directory


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def name_of(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


def test_concurrent_first_commands_on_several_machines_migrate_the_database_once(
    install: Install, tmp_path: Path
) -> None:
    machines = [Install(_create(tmp_path / f"machine{number}"), install.database) for number in range(3)]
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda machine: machine.manage("exportconfig"), machines))
    assert [result.code for result in results] == [0, 0, 0], [result.err for result in results]
    assert sum(result.err.count("migrating it") for result in results) == 1
    assert install.rows("SELECT count(*) FROM driver") == [(len(registry.kinds()),)]


def test_a_run_does_not_depend_on_defaults_of_the_server_or_environment(migrated: Install, bench: Bench) -> None:
    name = name_of(migrated.database)
    execute(
        migrated.database,
        f"ALTER DATABASE {name} SET datestyle = 'German'",
        f"ALTER DATABASE {name} SET timezone = 'Asia/Kolkata'",
        f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'",
    )
    bench.at_source("CREATE TABLE SOURCE (A INTEGER)", "INSERT INTO SOURCE VALUES (1), (2)")
    migrated.configure(bench, "orders")
    environment = {"PGDATESTYLE": "SQL, DMY", "PGTZ": "Asia/Tokyo", "TZ": "America/St_Johns"}
    result = migrated.manage("runmodule", "orders", "--json", **environment)
    assert (result.code, result.json["inserted"]) == (0, 2), result.err
    assert migrated.rows("SELECT status, finished_at - now() BETWEEN interval '-5 min' AND '0' FROM run_log") == [
        ("success", True)
    ]


def error_output(result: CommandResult) -> str:
    """Return the error output of a command without usable metadata: four lines, no traceback, no password."""
    assert result.code == 1
    assert result.out == ""
    assert "Traceback" not in result.err
    assert "pw-5520" not in result.err
    lines = [line for line in result.err.splitlines() if "migrating it" not in line]
    assert [line.split(":")[0] for line in lines] == ["error", "fix", "why", "code"]
    assert "code:  metadata_unavailable" in result.err
    return result.err


@pytest.mark.parametrize(
    ("url", "place", "fix"),
    [
        ("postgresql://etl:pw-5520@127.0.0.1:1/meta", "meta at 127.0.0.1:1 as etl", "Start the server"),
        ("postgresql://etl:pw-5520@db.invalid/meta", "meta at db.invalid:5432 as etl", "Correct the host"),
        ("postgresql://etl:pw-5520@%2Ftmp%2Fnowhere/meta", "meta at /tmp/nowhere as etl", "Start the server"),
        ("postgresql://etl:pw-5520@127.0.0.1:1/meta?sslmode=odd", "meta at 127.0.0.1:1", "after the ?"),
    ],
)
def test_unreachable_metadata_is_reported_with_its_place_and_a_fix(
    tmp_path: Path, url: str, place: str, fix: str
) -> None:
    output = error_output(Install(tmp_path, url).manage("runmodule", "orders"))
    assert f"The metadata database cannot be used: {place}" in output
    assert fix in output


def test_a_wrong_password_is_reported_and_not_shown(guarded_url: str, tmp_path: Path) -> None:
    url = guarded_url.replace("guarded@", "guarded:pw-5520@")
    (tmp_path / "config.yaml").write_text(f"database: {url}\n")
    output = error_output(Install(tmp_path).manage("exportconfig"))
    assert 'password authentication failed for user "guarded"' in output
    assert f"Correct user and password in `database` ({tmp_path / 'config.yaml'}, line 1)" in output
    valid = Install(tmp_path, guarded_url.replace("guarded@", "guarded:right-pw-7391@")).manage("exportconfig")
    assert valid.code == 0, valid.err


def test_the_fix_for_a_missing_database_is_createdb(install: Install) -> None:
    missing = Install(install.data_dir, install.database.replace(f"/{name_of(install.database)}?", "/not_there?"))
    assert "createdb" in error_output(missing.manage("exportconfig"))


def test_a_missing_privilege_to_create_tables_is_reported_with_its_grant(install: Install) -> None:
    execute(install.database, "DROP ROLE IF EXISTS reader", "CREATE ROLE reader LOGIN")
    reader = Install(
        install.data_dir, install.database.replace("postgres:@", "reader@").replace("postgres@", "reader@")
    )
    assert "GRANT CREATE ON SCHEMA public" in error_output(reader.manage("exportconfig"))
    check = doctor(reader)["metadata database"]
    assert not check["ok"]
    assert "GRANT CREATE" in check["hint"]


def doctor(install: Install) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in json.loads(install.manage("doctor", "--json").out)["checks"]}


def test_doctor_shows_where_the_metadata_is_and_whether_it_is_writable(migrated: Install) -> None:
    check = doctor(migrated)["metadata database"]
    assert check["ok"], check
    assert f"{name_of(migrated.database)} at /" in check["message"]
    execute(migrated.database, f"ALTER DATABASE {name_of(migrated.database)} SET default_transaction_read_only = on")
    assert "is read-only" in doctor(migrated)["metadata database"]["message"]


def test_backup_shows_the_pg_dump_command(tmp_path: Path) -> None:
    result = Install(tmp_path, "postgresql://etl:pw-5520@db.invalid:5433/meta?sslmode=require").manage("backup")
    assert "pw-5520" not in result.err
    url = "postgresql://etl@db.invalid:5433/meta?sslmode=require"
    assert (result.code, f"pg_dump --format=custom --file=pipekit.dump '--dbname={url}'" in result.err) == (2, True)


def test_concurrent_imports_wait_for_each_other(migrated: Install, bench: Bench) -> None:
    migrated.configure(bench)
    names = [f"m{number}" for number in range(40)]
    before = migrated.rows("SELECT count(*) FROM module")
    fields = "source_connection: erp, dest_connection: warehouse, source_query: SELECT A AS a FROM SOURCE"
    for number, order in enumerate((names, names[::-1])):
        lines = [f"  {name}: {{{fields}, dest_table: sync.{name}}}" for name in order]
        (migrated.data_dir / f"{number}.yaml").write_text("\n".join(["modules:", *lines]))
    imports = [migrated.start("importconfig", str(migrated.data_dir / f"{number}.yaml")) for number in range(2)]
    outputs = [process.communicate(timeout=120) for process in imports]
    assert [process.returncode for process in imports] == [0, 0], outputs
    assert before == [(0,)]
    assert migrated.rows("SELECT count(*) FROM module") == [(40,)]
    assert sorted(out for out, _ in outputs) == ["modules: 40 created\n", "modules: 40 unchanged\n"]


CHANGE_SETTINGS = """
from runs.models import Setting
invalid = {"mails_per_hour": 3}
Setting(notify_every=3, notification_addresses=["ann@example.com"], late_after_hours=26.5, invalid=invalid).save()
"""


def _without_seconds(run: dict[str, object]) -> dict[str, object]:
    """Return a run without its duration, which dumpdata rounds to milliseconds."""
    return {key: value for key, value in run.items() if key != "seconds"}


def test_an_install_moves_from_sqlite_with_its_history(install: Install, bench: Bench, tmp_path: Path) -> None:
    """With Django's dumpdata and loaddata, as the documentation describes."""
    bench.at_source("CREATE TABLE SOURCE (A INTEGER)", "INSERT INTO SOURCE VALUES (1), (2)")
    old, new = Install(install.data_dir), install
    old.configure(bench, "orders", extra=SCHEDULED)
    assert old.manage("shell", "--no-imports", "-c", CHANGE_SETTINGS).code == 0
    assert old.manage("runmodule", "orders").code == 0
    assert old.manage("runmodule", "nothing-such").code == 3
    exported, listed = old.manage("exportconfig").out, old.manage("runs", "--json").json
    file = tmp_path / "metadata.jsonl"
    dumped = old.manage("dumpdata", *DUMP_ARGUMENTS.split(), "--output", str(file))
    assert dumped.code == 0, dumped.err
    assert new.manage("migrate", "-v0").code == 0
    loaded = new.manage("loaddata", str(file))
    assert loaded.code == 0, loaded.err
    assert new.manage("exportconfig").out == exported
    assert [_without_seconds(run) for run in new.manage("runs", "--json").json] == [
        _without_seconds(run) for run in listed
    ]
    assert [run["status"] for run in listed] == ["success"]
    settings = "SELECT notify_every, notification_addresses, late_after_hours, invalid FROM settings"
    assert new.rows(settings) == [(3, ["ann@example.com"], 26.5, {"mails_per_hour": 3})]
    # run numbers continue, and the history is still protected
    again = new.manage("runmodule", "orders", "--json")
    assert (again.code, again.json["run"]) == (0, listed[0]["run"] + 1), again.err
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="not rewritten"):
        execute(new.database, "UPDATE run_log SET read = 99")

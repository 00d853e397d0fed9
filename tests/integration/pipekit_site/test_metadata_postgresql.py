"""Metadata in PostgreSQL by one setting: made, checked, told of when it cannot be used, moved to."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from connections import registry
from tests.benches.bench import Bench
from tests.processes.commands import Done
from tests.processes.install import Install

# real processes, many of them
pytestmark = pytest.mark.matrix

NewDatabase = Callable[[], str]
SCHEDULED = """
groups: {nightly: {members: [{module: orders}]}}
schedules: {at-four: {group: nightly, cron_expr: "0 4 * * *"}}
"""
DUMPED = "--format jsonl --natural-primary --natural-foreign -e contenttypes -e auth.permission -e admin -e sessions"


@pytest.fixture
def install(new_database: NewDatabase, tmp_path: Path) -> Install:
    """Nothing in it yet; its metadata and the bench's destination are two databases."""
    return Install(_made(tmp_path / "var"), new_database())


def _made(directory: Path) -> Path:
    directory.mkdir(mode=0o711)
    return directory


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def name_of(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


def test_first_commands_on_several_machines_make_the_database_once(install: Install, tmp_path: Path) -> None:
    machines = [Install(_made(tmp_path / f"machine{number}"), install.database) for number in range(3)]
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda machine: machine.manage("exportconfig"), machines))
    assert [each.code for each in done] == [0, 0, 0], [each.err for each in done]
    assert sum(each.err.count("migrating it") for each in done) == 1
    assert install.rows("SELECT count(*) FROM driver") == [(len(registry.kinds()),)]


def test_a_run_is_right_whatever_the_server_and_the_environment_have_for_defaults(
    install: Install, bench: Bench
) -> None:
    name = name_of(install.database)
    execute(
        install.database,
        f"ALTER DATABASE {name} SET datestyle = 'German'",
        f"ALTER DATABASE {name} SET timezone = 'Asia/Kolkata'",
        f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'",
    )
    bench.at_source("CREATE TABLE SOURCE (A INTEGER)", "INSERT INTO SOURCE VALUES (1), (2)")
    install.configure(bench, "orders")
    environment = {"PGDATESTYLE": "SQL, DMY", "PGTZ": "Asia/Tokyo", "TZ": "America/St_Johns"}
    done = install.manage("runmodule", "orders", "--json", **environment)
    assert (done.code, done.json["inserted"]) == (0, 2), done.err
    assert install.rows("SELECT status, finished_at - now() BETWEEN interval '-5 min' AND '0' FROM run_log") == [
        ("success", True)
    ]


def trouble(done: Done) -> str:
    """Return what a command said that could not use its metadata: four lines, none of them Python's, no password."""
    assert done.code == 1
    assert done.out == ""
    assert "Traceback" not in done.err
    assert "pw-5520" not in done.err
    lines = [line for line in done.err.splitlines() if "migrating it" not in line]
    assert [line.split(":")[0] for line in lines] == ["error", "fix", "why", "code"]
    assert "code:  metadata_unavailable" in done.err
    return done.err


@pytest.mark.parametrize(
    ("url", "place", "fix"),
    [
        ("postgresql://etl:pw-5520@127.0.0.1:1/meta", "meta at 127.0.0.1:1 as etl", "Start the server"),
        ("postgresql://etl:pw-5520@db.invalid/meta", "meta at db.invalid:5432 as etl", "Correct the host"),
        ("postgresql://etl:pw-5520@%2Ftmp%2Fnowhere/meta", "meta at /tmp/nowhere as etl", "Start the server"),
        ("postgresql://etl:pw-5520@127.0.0.1:1/meta?sslmode=odd", "meta at 127.0.0.1:1", "after the ?"),
    ],
)
def test_metadata_that_cannot_be_reached_is_one_clear_message(tmp_path: Path, url: str, place: str, fix: str) -> None:
    said = trouble(Install(tmp_path, url).manage("runmodule", "orders"))
    assert f"The metadata database cannot be used: {place}" in said
    assert fix in said


def test_a_wrong_password_is_told_without_it(guarded_url: str, tmp_path: Path) -> None:
    url = guarded_url.replace("guarded@", "guarded:pw-5520@")
    (tmp_path / "config.yaml").write_text(f"database: {url}\n")
    said = trouble(Install(tmp_path).manage("exportconfig"))
    assert 'password authentication failed for user "guarded"' in said
    assert f"Correct user and password in `database` ({tmp_path / 'config.yaml'}, line 1)" in said
    right = Install(tmp_path, guarded_url.replace("guarded@", "guarded:right-pw-7391@")).manage("exportconfig")
    assert right.code == 0, right.err


def test_a_database_that_is_not_there_is_to_be_created(install: Install) -> None:
    missing = Install(install.data_dir, install.database.replace(name_of(install.database), "not_there"))
    assert "createdb" in trouble(missing.manage("exportconfig"))


def test_a_user_who_may_make_no_tables_is_told_which_right_is_missing(install: Install) -> None:
    execute(install.database, "DROP ROLE IF EXISTS reader", "CREATE ROLE reader LOGIN")
    reader = Install(
        install.data_dir, install.database.replace("postgres:@", "reader@").replace("postgres@", "reader@")
    )
    assert "GRANT CREATE ON SCHEMA public" in trouble(reader.manage("exportconfig"))
    told = doctor(reader)["metadata database"]
    assert not told["ok"]
    assert "GRANT CREATE" in told["hint"]


def doctor(install: Install) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in json.loads(install.manage("doctor", "--json").out)["checks"]}


def test_doctor_says_where_the_metadata_is_and_whether_it_can_be_written(install: Install) -> None:
    install.manage("exportconfig")
    found = doctor(install)["metadata database"]
    assert found["ok"], found
    assert f"{name_of(install.database)} at /" in found["message"]
    execute(install.database, f"ALTER DATABASE {name_of(install.database)} SET default_transaction_read_only = on")
    assert "is read-only" in doctor(install)["metadata database"]["message"]


def test_backup_names_the_command_that_makes_one(tmp_path: Path) -> None:
    done = Install(tmp_path, "postgresql://etl:pw-5520@db.invalid:5433/meta?sslmode=require").manage("backup")
    assert "pw-5520" not in done.err
    place = "postgresql://etl@db.invalid:5433/meta?sslmode=require"
    assert (done.code, f"pg_dump --format=custom --file=pipekit.dump '--dbname={place}'" in done.err) == (2, True)


def test_imports_at_once_wait_for_each_other(install: Install, bench: Bench) -> None:
    install.configure(bench)
    names = [f"m{number}" for number in range(40)]
    before = install.rows("SELECT count(*) FROM module")
    ends = "source_connection: erp, dest_connection: warehouse, source_query: SELECT A AS a FROM SOURCE"
    for number, order in enumerate((names, names[::-1])):
        lines = [f"  {name}: {{{ends}, dest_table: sync.{name}}}" for name in order]
        (install.data_dir / f"{number}.yaml").write_text("\n".join(["modules:", *lines]))
    imports = [install.start("importconfig", str(install.data_dir / f"{number}.yaml")) for number in range(2)]
    told = [process.communicate(timeout=120) for process in imports]
    assert [process.returncode for process in imports] == [0, 0], told
    assert before == [(0,)]
    assert install.rows("SELECT count(*) FROM module") == [(40,)]
    assert sorted(out for out, _ in told) == ["modules: 40 created\n", "modules: 40 unchanged\n"]


CHANGED = """
from runs.models import Setting
invalid = {"mails_per_hour": 3}
Setting(notify_every=3, notification_addresses=["ann@example.com"], late_after_hours=26.5, invalid=invalid).save()
"""


def _told(run: dict[str, object]) -> dict[str, object]:
    """All but what dumpdata's milliseconds blur."""
    return {key: value for key, value in run.items() if key != "seconds"}


def test_an_install_moves_from_sqlite_with_its_history(install: Install, bench: Bench, tmp_path: Path) -> None:
    """The README's way: Django's dumpdata and loaddata."""
    bench.at_source("CREATE TABLE SOURCE (A INTEGER)", "INSERT INTO SOURCE VALUES (1), (2)")
    old, new = Install(install.data_dir), install
    old.configure(bench, "orders", extra=SCHEDULED)
    assert old.manage("shell", "--no-imports", "-c", CHANGED).code == 0
    assert old.manage("runmodule", "orders").code == 0
    assert old.manage("runmodule", "nothing-such").code == 3
    exported, listed = old.manage("exportconfig").out, old.manage("runs", "--json").json
    file = tmp_path / "metadata.jsonl"
    dumped = old.manage("dumpdata", *DUMPED.split(), "--output", str(file))
    assert dumped.code == 0, dumped.err
    assert new.manage("migrate", "-v0").code == 0
    loaded = new.manage("loaddata", str(file))
    assert loaded.code == 0, loaded.err
    assert new.manage("exportconfig").out == exported
    assert [_told(run) for run in new.manage("runs", "--json").json] == [_told(run) for run in listed]
    assert [run["status"] for run in listed] == ["success"]
    settings = "SELECT notify_every, notification_addresses, late_after_hours, invalid FROM settings"
    assert new.rows(settings) == [(3, ["ann@example.com"], 26.5, {"mails_per_hour": 3})]
    # numbering goes on, the history is still protected, and runs begin from what is there
    again = new.manage("runmodule", "orders", "--json")
    assert (again.code, again.json["run"]) == (0, listed[0]["run"] + 1), again.err
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="not rewritten"):
        execute(new.database, "UPDATE run_log SET read = 99")

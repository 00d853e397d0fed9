"""`manage.py doctor`: the promised form, and that each check finds what it is there for."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zoneinfo
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection as metadata
from pytest_django import Settings

from connections.models import Connection, Driver
from connections.secrets import references
from pipekit_site.doctor import checks as doctor_checks
from pipekit_site.doctor import machine
from pipekit_site.doctor.checks import CHECKS, Check
from tests.servers.ports import reserved_port

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def secrets_file(tmp_path: Path) -> Iterator[Path]:
    before = references.store().path
    references.configure(tmp_path / "secrets.env")
    yield tmp_path / "secrets.env"
    references.configure(before)


def look(name: str) -> Check:
    """Run one check."""
    return next(doctor_checks.run(check for check in CHECKS if check[0] == name))


def connection(kind: str = "sqlite", url: str = "jdbc:sqlite:/data/erp.db", **values: Any) -> Connection:
    return Connection.objects.create(driver=Driver.objects.get(kind=kind), jdbc_url=url, **{"name": "erp", **values})


def test_a_healthy_install_has_nothing_to_complain_of(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("doctor", "--json")
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is True
    assert [list(check) for check in answer["checks"]] == [["name", "ok", "message", "hint"]] * len(CHECKS)
    assert [check["name"] for check in answer["checks"]] == [name for name, _ in CHECKS]
    assert [check["message"] for check in answer["checks"] if not check["ok"] or not check["message"]] == []


def test_one_failing_check_is_exit_code_1_and_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    connection("postgresql", "jdbc:postgresql://127.0.0.1/dw", password="$DW_PW")
    with pytest.raises(SystemExit) as end:
        call_command("doctor")
    assert end.value.code == 1
    out = capsys.readouterr().out
    assert "✘ secrets: The secret DW_PW is not set. It is used by connection erp." in out
    assert "\n  → manage.py secrets set DW_PW\n" in out
    assert "✔ python: Python 3." in out


def test_it_reports_on_an_install_that_other_commands_refuse_to_run_in(tmp_path: Path) -> None:
    """A real process: metadata not migrated, secrets readable by all, a value from each source."""
    (tmp_path / "config.yaml").write_text("driver_dir: jars\n")
    (tmp_path / "secrets.env").write_text("DW_PW=canary-2283\n")
    (tmp_path / "secrets.env").chmod(0o644)
    environment = {**os.environ, "PIPEKIT_DATA_DIR": str(tmp_path), "PIPEKIT_API_PORT": "8101"}
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor", "--json"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (1, "")
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert "manage.py migrate" in checks["migrations"]["hint"]
    assert "no such table" in checks["secrets"]["message"]
    assert checks["secrets file"]["hint"] == f"chmod 600 {tmp_path / 'secrets.env'}"
    assert "has mode 0644" in checks["configuration"]["message"]
    assert "canary-2283" not in done.stdout


def test_it_says_where_each_setting_comes_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("# ours\napi_port: 8200\nsmtp:\n  host: mail.invalid\n")
    monkeypatch.setenv("PIPEKIT_CONFIG", str(file))
    monkeypatch.setenv("PIPEKIT_SMTP_HOST", "other.invalid")
    said = look("configuration").message
    assert f"api_port from {file}, line 2; " in said
    assert "data_dir from PIPEKIT_DATA_DIR; " in said
    assert "smtp.host from PIPEKIT_SMTP_HOST; " in said
    assert said.endswith("the rest is default.")


def test_every_dependency_is_looked_at() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[\[<>=~!;, ]", wanted)[0].lower() for wanted in project["dependencies"]}
    assert set(machine.DEPENDENCIES) == names


def test_a_package_that_is_missing_or_broken_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pipekit_broken.py").write_text("raise OSError('libx.so: cannot open')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(machine, "DEPENDENCIES", {"no-such-package": "x", "django": "pipekit_broken"})
    found = look("dependencies")
    assert found.message == (
        "Packages that cannot be imported: no-such-package: not installed; django: OSError: libx.so: cannot open."
    )
    assert found.hint.endswith("-m pip install .")


def test_an_old_python_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "OLDEST", (9, 0))
    assert not look("python").ok


def test_a_clock_that_was_never_set_is_told(settings: Settings) -> None:
    file = settings.PIPEKIT.data_dir / "secret_key"
    before = file.stat()
    os.utime(file, (before.st_mtime + 86_400,) * 2)
    try:
        assert "which is before Pipekit was installed" in look("clock").message
    finally:
        os.utime(file, (before.st_atime, before.st_mtime))
    assert look("clock").ok


def test_a_missing_time_zone_database_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise zoneinfo.ZoneInfoNotFoundError(name)

    monkeypatch.setattr("zoneinfo.ZoneInfo", missing)
    assert "time zone database is missing" in look("clock").message


def test_a_full_disk_is_told_before_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2**24))
    assert "has only 16 MB left" in look("data directory").message


def test_a_data_directory_that_is_gone_is_told(settings: Settings, tmp_path: Path) -> None:
    settings.PIPEKIT = replace(settings.PIPEKIT, data_dir=tmp_path / "gone")
    assert "cannot be written to: No such file or directory." in look("data directory").message


@pytest.mark.sqlite_metadata
def test_the_metadata_database_is_written_to_and_read_back() -> None:
    found = look("metadata database")
    assert found.ok
    assert found.message.endswith("SQLite in WAL mode")


@pytest.mark.sqlite_metadata
@pytest.mark.django_db(transaction=True)
def test_a_metadata_database_that_lost_its_mode_is_told() -> None:
    switch_mode("DELETE")
    try:
        assert "is in mode delete, not WAL" in look("metadata database").message
    finally:
        switch_mode("WAL")


def switch_mode(mode: str) -> None:
    with metadata.cursor() as cursor:
        assert cursor.execute(f"PRAGMA journal_mode={mode}").fetchone() == (mode.lower(),)


def test_a_migration_that_is_not_applied_is_named() -> None:
    with metadata.cursor() as cursor:
        cursor.execute("SELECT max(name) FROM django_migrations WHERE app = 'scheduling'")
        (last,) = cursor.fetchone()
        cursor.execute("DELETE FROM django_migrations WHERE app = 'scheduling' AND name = %s", [last])
    assert f"Not applied yet: scheduling {last}" in look("migrations").message


def test_a_secret_option_counts_as_used(secrets_file: Path) -> None:
    connection("postgresql", "jdbc:postgresql://127.0.0.1/dw", password="$DW_PW")
    references.store().set("DW_PW", "x")
    assert look("secrets").message == "All that are used are set: $DW_PW"
    secrets_file.write_text("DW_PW x\n")
    assert "Invalid lines of the file: 1." in look("secrets").message


def test_a_jar_that_is_missing_or_another_is_told(settings: Settings, tmp_path: Path) -> None:
    settings.PIPEKIT = replace(settings.PIPEKIT, driver_dir=tmp_path)
    assert look("drivers").message == "No connection needs a jar"
    Driver.objects.filter(kind="h2").update(jar_file="h2.jar", sha256="0" * 64)
    connection("h2", "jdbc:h2:mem:x")
    assert f"{tmp_path / 'h2.jar'}, which does not exist" in look("drivers").message
    (tmp_path / "h2.jar").write_bytes(b"other")
    assert "is not the file whose SHA-256 was recorded" in look("drivers").message
    Driver.objects.filter(kind="h2").update(sha256="")
    assert look("drivers").message == f"In {tmp_path}: h2.jar"


def test_the_embedded_postgresql_is_started(postgresql_server: str, tmp_path: Path) -> None:
    directory = re.sub(r".*host=", "", postgresql_server)
    row = connection("postgresql", "postgresql:///postgres", options={"embedded": directory})
    assert look("embedded postgresql").message == f"runs in {directory}"
    (tmp_path / "occupied").touch()
    row.options = {"embedded": str(tmp_path / "occupied")}
    row.save()
    assert "did not start" in look("embedded postgresql").message


def test_a_jrunner_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert "jrunner does not start (exit code 1)" in look("jrunner").message
    settings.PIPEKIT = replace(settings.PIPEKIT, jrunner_path="/no/such/program")
    assert "/no/such/program is not an executable program" in look("jrunner").message


def test_connections_are_tried_only_when_asked_for(tmp_path: Path) -> None:
    connection(name="erp", url=f"jdbc:sqlite:{tmp_path / 'erp.db'}", options={"create": True})
    with reserved_port() as port:
        connection("postgresql", f"jdbc:postgresql://127.0.0.1:{port}/dw", name="down")
        assert all(check.ok for check in doctor_checks.run_all())
        found = {check.name: check for check in doctor_checks.run_all(connections=True)}
    assert found["connection erp"].ok
    assert not found["connection down"].ok
    assert f"Port {port} of 127.0.0.1 cannot be reached" in found["connection down"].message


def test_a_check_that_falls_over_is_a_failed_check_and_shows_no_secret() -> None:
    references.store().set("DW_PW", "canary-2284")

    def broken() -> str:
        raise RuntimeError(f"failed with {references.store().resolve('$DW_PW')}")

    (found,) = doctor_checks.run([("odd", broken)])
    assert (found.ok, found.message) == (False, "The check itself failed: RuntimeError: failed with ***.")


def test_notifications_that_are_not_set_up_say_where_failures_are_seen() -> None:
    check = look("notifications")
    assert check.ok
    assert check.message.startswith("not set up; failures are only shown in the admin and by manage.py runs.")

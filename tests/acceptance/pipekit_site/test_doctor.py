"""Tests of the command `doctor`: the format of its output, and the problem that each check reports."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, ProgrammingError
from django.db import connection as metadata
from pytest_django import Settings

from connections import registry
from connections.models import Connection, Driver
from connections.sdk.errors import ConfigurationInvalid
from connections.secrets import references
from pipekit_site.doctor import installation
from pipekit_site.doctor.checks import CHECKS, Check, run_all_checks, run_checks
from pipekit_site.metadata.errors import MetadataUnavailable
from tests.servers.ports import reserved_port

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def secrets_file(tmp_path: Path) -> Iterator[Path]:
    before = references.store().path
    references.configure(tmp_path / "secrets.env")
    yield tmp_path / "secrets.env"
    references.configure(before)


def run_check(name: str) -> Check:
    """Run one check; return its result."""
    return next(run_checks(check for check in CHECKS if check[0] == name))


def connection(kind: str = "sqlite", url: str = "jdbc:sqlite:/data/erp.db", **values: Any) -> Connection:
    return Connection.objects.create(driver=Driver.objects.get(kind=kind), jdbc_url=url, **{"name": "erp", **values})


def test_all_checks_succeed_in_a_healthy_installation(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("doctor", "--json")
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    assert [list(check) for check in report["checks"]] == [["name", "ok", "message", "hint"]] * len(CHECKS)
    assert [check["name"] for check in report["checks"]] == [name for name, _ in CHECKS]
    assert [check["message"] for check in report["checks"] if not check["ok"] or not check["message"]] == []


def test_a_failed_check_exits_with_1_and_is_printed_with_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    connection("postgresql", "jdbc:postgresql://127.0.0.1/dw", password="$DW_PW")
    with pytest.raises(SystemExit) as exit_:
        call_command("doctor")
    assert exit_.value.code == 1
    out = capsys.readouterr().out
    assert "✘ secrets: The secret DW_PW is not set. It is used by connection erp." in out
    assert "\n  → manage.py secrets set DW_PW\n" in out
    assert "✔ python: Python 3." in out


@pytest.mark.sqlite_metadata
def test_metadata_that_cannot_be_used_are_explained_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise OperationalError("disk I/O error")

    monkeypatch.setattr(metadata, "cursor", refuse)
    monkeypatch.setattr(metadata, "chunked_cursor", refuse)
    needing = ("metadata database", "migrations", "secrets", "schedules")
    messages = [result.message for result in run_checks(check for check in CHECKS if check[0] in needing)]
    assert "disk I/O error" in messages[0]
    assert messages[1:] == ["Not checked, because the metadata database cannot be used."] * 3


@pytest.mark.parametrize(
    ("problem", "is_outage"),
    [
        (MetadataUnavailable("pipekit.db is damaged."), True),
        (ConfigurationInvalid("It is in mode delete, not WAL."), False),
        (ProgrammingError("there is no such table"), False),
    ],
)
def test_only_an_outage_of_the_metadata_explains_the_errors_of_other_checks(
    monkeypatch: pytest.MonkeyPatch, problem: Exception, is_outage: bool
) -> None:
    def fail(error: Exception) -> str:
        raise error

    monkeypatch.setattr(installation, "metadata_database", partial(fail, problem))
    functions = (installation.metadata_database, partial(fail, OperationalError("a column")))
    first, second = run_checks(zip(("metadata database", "secrets"), functions, strict=True))
    assert str(problem) in first.message
    assert second.message.startswith("Not checked") is is_outage
    assert ("a column" in second.message) is not is_outage


@pytest.mark.matrix
def test_doctor_works_in_an_installation_in_which_other_commands_refuse_to_run(tmp_path: Path) -> None:
    """The metadata are not migrated, and everybody may read the secrets file."""
    (tmp_path / "config.yaml").write_text("driver_dir: jars\n")
    (tmp_path / "secrets.env").write_text("DW_PW=canary-2283\n")
    (tmp_path / "secrets.env").chmod(0o644)
    environment = {**os.environ, "PIPEKIT_DATA_DIR": str(tmp_path), "PIPEKIT_API_PORT": "8101"}
    result = subprocess.run(
        [sys.executable, "manage.py", "doctor", "--json"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (1, "")
    checks = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert "manage.py migrate" in checks["migrations"]["hint"]
    assert "no such table" in checks["secrets"]["message"]
    assert checks["secrets file"]["hint"] == f"chmod 600 {tmp_path / 'secrets.env'}"
    assert "has mode 0644" in checks["configuration"]["message"]
    assert "canary-2283" not in result.stdout


def test_the_configuration_check_names_the_source_of_each_value(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("# ours\napi_port: 8200\nsmtp:\n  host: mail.invalid\n")
    monkeypatch.setenv("PIPEKIT_CONFIG", str(file))
    monkeypatch.setenv("PIPEKIT_SMTP_HOST", "other.invalid")
    message = run_check("configuration").message
    assert f"api_port from {file}, line 2; " in message
    assert "data_dir from PIPEKIT_DATA_DIR; " in message
    assert "smtp.host from PIPEKIT_SMTP_HOST; " in message
    assert message.endswith("the rest is default.")


@pytest.mark.sqlite_metadata
def test_the_metadata_database_and_its_mode_are_checked() -> None:
    check = run_check("metadata database")
    assert check.ok
    assert check.message.endswith("SQLite in WAL mode")


@pytest.mark.sqlite_metadata
@pytest.mark.django_db(transaction=True)
def test_a_metadata_database_that_is_not_in_wal_mode_is_reported() -> None:
    switch_mode("DELETE")
    try:
        assert "is in mode delete, not WAL" in run_check("metadata database").message
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
    assert f"Not applied yet: scheduling {last}" in run_check("migrations").message


def test_secrets_that_connections_use_and_invalid_lines_of_the_file_are_reported(secrets_file: Path) -> None:
    connection("postgresql", "jdbc:postgresql://127.0.0.1/dw", password="$DW_PW")
    references.store().set("DW_PW", "x")
    assert run_check("secrets").message == "All that are used are set: $DW_PW"
    secrets_file.write_text("DW_PW x\n")
    assert "Invalid lines of the file: 1." in run_check("secrets").message


def test_a_jar_that_is_missing_or_has_another_checksum_is_reported(settings: Settings, tmp_path: Path) -> None:
    settings.PIPEKIT = replace(settings.PIPEKIT, driver_dir=tmp_path)
    assert run_check("drivers").message == "No connection needs a jar"
    Driver.objects.filter(kind="h2").update(jar_file="h2.jar", sha256="0" * 64)
    connection("h2", "jdbc:h2:mem:x")
    assert f"{tmp_path / 'h2.jar'}, which does not exist" in run_check("drivers").message
    (tmp_path / "h2.jar").write_bytes(b"other")
    assert "is not the file whose SHA-256 was recorded" in run_check("drivers").message
    Driver.objects.filter(kind="h2").update(sha256="")
    assert run_check("drivers").message == f"In {tmp_path}: h2.jar"


def test_a_kind_that_is_not_installed_or_lacks_its_manifest_is_reported_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection("h2", "jdbc:h2:mem:x")
    Driver.objects.filter(kind="h2").update(kind="gone")
    check = run_check("drivers")
    assert check.message == "There is no driver kind “gone”."
    assert check.hint == "Install the package of the connector again, or remove its connections."
    (tmp_path / "pk_stripped").mkdir()
    (tmp_path / "pk_stripped" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_third_party", lambda: {"stripped": "pk_stripped"})
    check = run_check("drivers")
    assert "“gone”" in check.message and "“stripped” has no connector.yaml" in check.message
    assert check.hint.startswith("A connector's package must contain connector.yaml: add it to the package data")
    assert check.hint.endswith("or remove its connections.")


@pytest.mark.matrix
def test_the_embedded_postgresql_is_not_started_and_an_invalid_directory_is_reported(
    postgresql_server: str, tmp_path: Path, settings: Settings
) -> None:
    directory = re.sub(r".*host=", "", postgresql_server)
    row = connection("postgresql", "postgresql:///postgres", options={"embedded": directory})
    assert run_check("embedded postgresql").message == f"runs in {directory}"
    missing = settings.PIPEKIT.data_dir / "dw"
    row.options = {"embedded": str(missing)}
    row.save()
    assert run_check("embedded postgresql").message == f"stopped in {missing}; starts when needed"
    assert not missing.exists()
    (tmp_path / "occupied").touch()
    row.options = {"embedded": str(tmp_path / "occupied")}
    row.save()
    assert "did not start" in run_check("embedded postgresql").message


def test_a_jrunner_that_does_not_start_is_reported(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert "jrunner does not start (exit code 1)" in run_check("jrunner").message
    settings.PIPEKIT = replace(settings.PIPEKIT, jrunner_path="/no/such/program")
    assert "/no/such/program is not an executable program" in run_check("jrunner").message


def test_connections_are_only_tested_with_the_option_connections(tmp_path: Path) -> None:
    connection(name="erp", url=f"jdbc:sqlite:{tmp_path / 'erp.db'}", options={"create": True})
    with reserved_port() as port:
        connection("postgresql", f"jdbc:postgresql://127.0.0.1:{port}/dw", name="down")
        assert all(check.ok for check in run_all_checks())
        checks = {check.name: check for check in run_all_checks(connections=True)}
    assert checks["connection erp"].ok
    assert not checks["connection down"].ok
    assert f"Port {port} of 127.0.0.1 cannot be reached" in checks["connection down"].message


def test_an_exception_in_a_check_is_reported_as_a_failed_check_without_secrets() -> None:
    references.store().set("DW_PW", "canary-2284")

    def broken() -> str:
        raise RuntimeError(f"failed with {references.store().resolve('$DW_PW')}")

    (check,) = run_checks([("broken", broken)])
    assert (check.ok, check.message) == (False, "The check itself failed: RuntimeError: failed with ***.")


def test_without_notifications_the_check_names_where_failures_are_shown() -> None:
    check = run_check("notifications")
    assert check.ok
    assert check.message.startswith("not set up; failures are only shown in the admin and by manage.py runs.")


def test_a_connection_with_a_relative_path_is_a_warning() -> None:
    connection(url="jdbc:sqlite:/data/erp.db")
    assert run_check("paths of connections").message == "None is relative"
    connection(name="shop", url="jdbc:sqlite:src/shop.db")
    connection("postgresql", "jdbc:postgresql://localhost/dw", name="dw", options={"embedded": "var/pg"})
    check = run_check("paths of connections")
    assert check.ok
    assert "Warning: shop: src/shop.db is a relative path." in check.message
    assert "Warning: dw: var/pg is a relative path." in check.message and "erp" not in check.message

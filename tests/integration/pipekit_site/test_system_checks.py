"""System checks of the installation, and which checks the command `check` runs by default."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings
from django.core.checks import CheckMessage
from django.core.management import call_command
from django.db import connection
from pytest_django.fixtures import Settings

from pipekit_site import system_checks
from pipekit_site.management.commands import check

pytestmark = pytest.mark.django_db


def messages() -> dict[str, CheckMessage]:
    return {str(message.id): message for message in system_checks.check_installation(None)}


def test_the_installation_of_the_tests_has_no_messages() -> None:
    assert messages() == {}


@pytest.mark.sqlite_metadata
def test_the_sqlite_connection_has_the_pragmas_of_the_settings() -> None:
    with connection.cursor() as cursor:
        pragmas = {name: cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2}
    options = settings.DATABASES["default"]["OPTIONS"]
    assert (options["transaction_mode"], options["timeout"]) == ("IMMEDIATE", 30)


@pytest.mark.sqlite_metadata
@pytest.mark.django_db(transaction=True)
def test_a_pragma_with_another_value_is_an_error() -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=OFF")
    try:
        message = messages()["pipekit.E004"]
    finally:
        connection.close()
    assert "synchronous is 0, not 2" in message.msg
    assert message.hint


@pytest.mark.sqlite_metadata
def test_metadata_on_a_network_filesystem_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_checks, "_filesystem", lambda path: "nfs4")
    assert "nfs4" in messages()["pipekit.E002"].msg


def test_the_filesystem_of_a_path_is_that_of_its_innermost_mount() -> None:
    assert system_checks._filesystem(Path("/proc/self")) == "proc"


def test_a_secrets_file_that_others_can_read_is_a_warning(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "secrets.env"
    file.write_text("DW_PW=geheim\n")
    settings.PIPEKIT = replace(settings.PIPEKIT, secrets_file=file)
    file.chmod(0o640)
    assert messages() == {}
    file.chmod(0o644)
    message = messages()["pipekit.W002"]
    assert str(file) in message.msg
    assert "chmod 600" in str(message.hint)


def test_a_jrunner_path_without_a_program_is_an_error(settings: Settings, tmp_path: Path) -> None:
    settings.PIPEKIT = replace(settings.PIPEKIT, jrunner_path=str(tmp_path / "none"))
    assert "jrunner_path" in messages()["pipekit.E005"].msg


def test_a_misspelled_variable_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPEKIT_API_PROT", "1")
    monkeypatch.setenv("PIPEKIT_SECRET_API_PORT", "1")
    assert messages()["pipekit.W001"].hint == "Did you mean PIPEKIT_API_PORT?"


def test_check_skips_the_checks_of_admin_and_urls_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    tags: list[list[str] | None] = []
    monkeypatch.setattr(check.Command, "check", lambda self, **options: tags.append(options["tags"]))
    call_command("check")
    for arguments in (["--all"], ["--deploy"], ["modules"], ["--tag", "admin"]):
        call_command("check", *arguments)
    default, *others = tags
    assert default is not None
    assert {"pipekit", "models", "security"} <= set(default)
    assert {"admin", "templates", "urls"} & set(default) == set()
    assert others == [None, None, None, ["admin"]]

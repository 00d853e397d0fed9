"""`installcron` and `uninstallcron` leave the crontab unchanged after any failure of the crontab program."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pytest_django import Settings

from tests.acceptance.scheduling.crontab.program import FOREIGN, Program, error_of, install


@pytest.mark.default_cases(5)
@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("unreadable", "could not be read, so it was not changed"),
        ("refusing", "rejected the crontab"),
        ("silent", "does not read back as it was written"),
        ("losing", "does not read back as it was written"),
        ("cutting", "does not read back as it was written"),
        ("doubling", "does not read back as it was written"),
    ],
)
@pytest.mark.parametrize("command", ["installcron", "uninstallcron"])
def test_the_crontab_is_unchanged_after_any_failure_of_the_program(
    program: Program,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    mode: str,
    message: str,
    command: str,
) -> None:
    program.table = FOREIGN
    if command == "uninstallcron":
        install()
        capsys.readouterr()
    before = program.table
    program.fail_by(mode)
    assert message in error_of(capsys, command)
    assert program.table == before


def test_the_error_about_a_crontab_that_cannot_be_restored_names_the_backup(
    program: Program, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program.table = FOREIGN
    program.fail_by("broken")
    error = error_of(capsys)
    (backup,) = (data_dir / "backups").iterdir()
    assert "could not be restored" in error
    assert f"Restore it manually: crontab {backup}" in error
    assert backup.read_bytes() == FOREIGN


def test_without_a_crontab_program_the_error_names_the_scheduler(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    error = error_of(capsys)
    assert "This machine has no crontab program." in error
    assert "manage.py scheduler" in error


@pytest.mark.parametrize("name", ["with#hash", "with%percent", "with\\slash"])
def test_a_path_that_a_crontab_line_cannot_contain_is_refused(
    program: Program, settings: Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    program.table = FOREIGN
    script = tmp_path / name / "manage.py"
    script.parent.mkdir()
    script.touch()
    settings.CRONTAB_DJANGO_MANAGE_PATH = str(script)
    assert "which a crontab line cannot hold" in error_of(capsys)
    assert program.table == FOREIGN


def test_a_variable_that_a_crontab_line_cannot_contain_is_to_be_set_in_the_file(
    program: Program, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "postgresql://pk@127.0.0.1/my%20metadata"
    monkeypatch.setenv("PIPEKIT_DATABASE", url)
    settings.PIPEKIT = replace(settings.PIPEKIT, database=url)
    error = error_of(capsys)
    assert "PIPEKIT_DATABASE" in error
    assert "contains the character '%'" in error
    assert "Set it in config.yaml" in error
    assert program.table is None


def test_a_password_in_an_environment_variable_is_refused(
    program: Program, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "postgresql://pk:canary-77@127.0.0.1/pk"
    monkeypatch.setenv("PIPEKIT_DATABASE", url)
    settings.PIPEKIT = replace(settings.PIPEKIT, database=url)
    error = error_of(capsys)
    assert "PIPEKIT_DATABASE contains a password" in error
    assert "canary-77" not in error
    assert program.table is None

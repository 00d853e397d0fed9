"""Tests of the commands `exportconfig` and `importconfig`: their output on stdout and stderr, and the exit codes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from pipekit_site import import_export
from tests.harness.importconfig import EXAMPLE, counts, load
from tests.processes.commands import run_in_new_interpreter

ROOT = Path(__file__).parents[3]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(EXAMPLE)
    return path


def manage(*arguments: str, data_dir: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PIPEKIT_DATA_DIR": str(data_dir), "LC_ALL": "C"}
    return run_in_new_interpreter(arguments, environment, stdin=stdin, text=False)


def error_of(*arguments: str, **options: Any) -> CommandError:
    """Call a command that fails, and return its error."""
    with pytest.raises(CommandError) as failure:
        call_command(*arguments, **options)
    return failure.value


@pytest.mark.django_db
def test_importconfig_prints_how_many_objects_it_has_created(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("importconfig", str(file))
    assert capsys.readouterr().out == (
        "connections: 2 created\nmodules: 1 created\ngroups: 1 created\nschedules: 1 created\n"
    )
    call_command("importconfig", str(file))
    assert capsys.readouterr().out.startswith("connections: 2 unchanged\n")


@pytest.mark.django_db
def test_importconfig_dry_run_prints_only_a_diff_on_stdout_and_changes_nothing(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("importconfig", str(file), "--dry-run")
    out, err = capsys.readouterr()
    assert out.startswith("--- before\n+++ after\n") and "+  warehouse:\n" in out
    assert err == ""
    assert counts()["connections"] == 0
    load(EXAMPLE)
    call_command("importconfig", str(file), "--dry-run")
    assert capsys.readouterr() == ("", "Nothing would change.\n")


@pytest.mark.django_db
def test_importconfig_deletes_rows_missing_from_the_file_only_with_the_option_prune(file: Path) -> None:
    load(EXAMPLE)
    file.write_text(EXAMPLE.replace("nightly-4am", "nightly-5am"))
    call_command("importconfig", str(file))
    assert counts()["schedules"] == 2
    call_command("importconfig", str(file), "--prune")
    assert counts()["schedules"] == 1


@pytest.mark.django_db
def test_importconfig_names_the_file_and_line_in_its_errors(file: Path) -> None:
    file.write_text("connectons: {}\nmodule: {}\n")
    error = error_of("importconfig", str(file))
    assert error.returncode == 2
    assert f"{file} has 2 errors; nothing was imported.\n  {file}, line 1: connectons:" in str(error)


def test_importconfig_exits_with_3_for_a_missing_file_and_with_2_for_an_unreadable_one(tmp_path: Path) -> None:
    assert error_of("importconfig", str(tmp_path / "none.yaml")).returncode == 3
    assert error_of("importconfig", str(tmp_path)).returncode == 2


@pytest.mark.django_db
def test_importconfig_says_what_is_wrong_with_a_path_that_leads_to_no_text(tmp_path: Path) -> None:
    broken, latin1 = tmp_path / "broken.yaml", tmp_path / "latin1.yaml"
    broken.symlink_to(tmp_path / "none.yaml")
    latin1.write_bytes("version: 1\n# M\xfcller\n".encode("latin-1"))
    assert f"{tmp_path} is a directory. Name a file in it" in str(error_of("importconfig", str(tmp_path)))
    assert f"is a broken link to {tmp_path / 'none.yaml'}" in str(error_of("importconfig", str(broken)))
    error = str(error_of("importconfig", str(latin1)))
    assert "this line is not UTF-8. Save the file as UTF-8" in error


@pytest.mark.django_db
def test_exportconfig_writes_to_stdout_or_to_the_given_file(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load(EXAMPLE)
    call_command("exportconfig")
    assert capsys.readouterr() == (import_export.dump(), "")
    call_command("exportconfig", str(file))
    assert capsys.readouterr() == ("", f"The configuration was written to {file}.\n")
    assert file.read_text() == import_export.dump()
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.django_db
def test_exportconfig_exits_with_3_if_the_directory_is_missing_and_with_2_if_the_path_is_one(tmp_path: Path) -> None:
    assert error_of("exportconfig", str(tmp_path / "none" / "config.yaml")).returncode == 3
    error = error_of("exportconfig", str(tmp_path))
    assert error.returncode == 2 and f"{tmp_path} is a directory. Name a file in it" in str(error)


@pytest.mark.matrix
def test_an_export_imported_into_another_installation_is_exported_identically(file: Path, tmp_path: Path) -> None:
    """The commands run as processes, in a locale without UTF-8."""
    file.write_text(EXAMPLE.replace("username: etl", "username: Müller"), encoding="utf-8")
    data_dir = tmp_path / "var"
    assert manage("migrate", "-v0", data_dir=data_dir).returncode == 0
    empty = shutil.copy(data_dir / "pipekit.db", tmp_path / "empty.db")
    imported = manage("importconfig", str(file), data_dir=data_dir)
    assert (imported.returncode, imported.stderr) == (0, b"")
    exported = manage("exportconfig", data_dir=data_dir).stdout
    assert "username: Müller\n".encode() in exported
    os.replace(empty, data_dir / "pipekit.db")
    assert manage("importconfig", "/dev/stdin", data_dir=data_dir, stdin=exported).returncode == 0
    assert manage("exportconfig", data_dir=data_dir).stdout == exported
    assert manage("importconfig", str(tmp_path / "none"), data_dir=data_dir).returncode == 3


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("file", "groups"),
    [("README.md", 0), ("pipekit_site/docs/set-up-a-sync.md", 1), ("pipekit_site/docs/quick-start.md", 0)],
)
def test_the_example_configurations_in_the_guides_can_be_imported(file: str, groups: int) -> None:
    example = (ROOT / file).read_text().partition("```yaml\n")[2].partition("```")[0]
    load(example)
    assert counts() == {"connections": 2, "modules": 1, "groups": groups, "schedules": groups}


def test_the_import_of_a_missing_file_prints_an_error_with_fix_and_code(tmp_path: Path) -> None:
    result = manage("importconfig", str(tmp_path / "pk.yaml"), data_dir=tmp_path)
    assert (result.returncode, result.stdout) == (3, b"")
    # the lines before them report that the metadata database is created
    error, fix, code = result.stderr.decode().splitlines()[-3:]
    assert error == f"error: There is no file {tmp_path}/pk.yaml."
    assert fix.startswith("fix:   ") and code == "code:  not_found"

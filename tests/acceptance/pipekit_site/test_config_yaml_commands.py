"""`exportconfig` and `importconfig` as programs: what goes to which stream, and the exit codes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from pipekit_site import config_yaml
from tests.benches.config_yaml import EXAMPLE, counts, load
from tests.processes.commands import run_anew

ROOT = Path(__file__).parents[3]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(EXAMPLE)
    return path


def manage(*arguments: str, data_dir: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PIPEKIT_DATA_DIR": str(data_dir), "LC_ALL": "C"}
    return run_anew(arguments, environment, stdin=stdin, text=False)


def refused(*arguments: str, **options: Any) -> CommandError:
    with pytest.raises(CommandError) as caught:
        call_command(*arguments, **options)
    return caught.value


@pytest.mark.django_db
def test_importconfig_says_what_it_did(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("importconfig", str(file))
    assert capsys.readouterr().out == (
        "connections: 2 created\nmodules: 1 created\ngroups: 1 created\nschedules: 1 created\n"
    )
    call_command("importconfig", str(file))
    assert capsys.readouterr().out.startswith("connections: 2 unchanged\n")


@pytest.mark.django_db
def test_importconfig_dry_run_prints_a_diff_and_nothing_else_on_stdout(
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
def test_importconfig_prunes_when_it_is_told_to(file: Path) -> None:
    load(EXAMPLE)
    file.write_text(EXAMPLE.replace("nightly-4am", "nightly-5am"))
    call_command("importconfig", str(file))
    assert counts()["schedules"] == 2
    call_command("importconfig", str(file), "--prune")
    assert counts()["schedules"] == 1


@pytest.mark.django_db
def test_importconfig_names_the_file_in_every_error(file: Path) -> None:
    file.write_text("connectons: {}\nmodule: {}\n")
    error = refused("importconfig", str(file))
    assert error.returncode == 2
    assert f"{file} has 2 errors; nothing was imported.\n  {file}, line 1: connectons:" in str(error)


def test_importconfig_knows_a_missing_file_from_one_that_cannot_be_read(tmp_path: Path) -> None:
    assert refused("importconfig", str(tmp_path / "none.yaml")).returncode == 3
    assert refused("importconfig", str(tmp_path)).returncode == 2


@pytest.mark.django_db
def test_exportconfig_writes_to_stdout_or_a_file(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load(EXAMPLE)
    call_command("exportconfig")
    assert capsys.readouterr() == (config_yaml.dump(), "")
    call_command("exportconfig", str(file))
    assert capsys.readouterr() == ("", f"The configuration was written to {file}.\n")
    assert file.read_text() == config_yaml.dump()
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.django_db
def test_exportconfig_into_a_directory_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    assert refused("exportconfig", str(tmp_path / "none" / "config.yaml")).returncode == 3
    assert refused("exportconfig", str(tmp_path)).returncode == 2


@pytest.mark.matrix
def test_configuration_moves_from_one_install_to_another_byte_by_byte(file: Path, tmp_path: Path) -> None:
    """Real processes, in a locale that knows no UTF-8, and the exit codes that scripts see."""
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
def test_the_configuration_that_the_guides_show_can_be_imported(file: str, groups: int) -> None:
    shown = (ROOT / file).read_text().partition("```yaml\n")[2].partition("```")[0]
    load(shown)
    assert counts() == {"connections": 2, "modules": 1, "groups": groups, "schedules": groups}


def test_an_import_of_no_file_ends_with_error_fix_and_code(tmp_path: Path) -> None:
    done = manage("importconfig", str(tmp_path / "pk.yaml"), data_dir=tmp_path)
    assert (done.returncode, done.stdout) == (3, b"")
    # what comes first is the making of the metadata
    error, fix, code = done.stderr.decode().splitlines()[-3:]
    assert error == f"error: There is no file {tmp_path}/pk.yaml."
    assert fix.startswith("fix:   ") and code == "code:  not_found"

"""Tests of the creation of the metadata database by the first command, whichever it is."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.processes.commands import run_in_new_interpreter

ROOT = Path(__file__).resolve().parents[3]


def manage(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PIPEKIT_DATA_DIR": str(directory), "DJANGO_SETTINGS_MODULE": "pipekit_site.settings"}
    return run_in_new_interpreter(arguments, environment)


@pytest.mark.matrix
@pytest.mark.parametrize(("command", "code"), [(("exportconfig",), 0), (("runmodule", "nothing"), 3)])
def test_the_first_command_creates_the_database(tmp_path: Path, command: tuple[str, ...], code: int) -> None:
    first = manage(tmp_path, *command)
    assert first.returncode == code, first.stderr
    assert "migrating it" in first.stderr
    assert "Traceback" not in first.stderr
    again = manage(tmp_path, *command)
    assert again.returncode == code
    assert "migrating" not in again.stderr


@pytest.mark.matrix
def test_commands_that_are_started_together_create_the_database_without_errors(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda _: manage(tmp_path, "exportconfig"), range(3)))
    assert [result.returncode for result in results] == [0, 0, 0], [result.stderr for result in results]


def test_doctor_reports_a_missing_database_and_does_not_create_it(tmp_path: Path) -> None:
    result = manage(tmp_path, "doctor")
    assert result.returncode == 1
    assert "migrat" in result.stdout
    assert "migrating it" not in result.stderr

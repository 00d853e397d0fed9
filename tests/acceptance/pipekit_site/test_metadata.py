"""A fresh clone's first command makes the metadata database, whichever it is."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.processes.commands import run_anew

ROOT = Path(__file__).resolve().parents[3]


def manage(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PIPEKIT_DATA_DIR": str(directory), "DJANGO_SETTINGS_MODULE": "pipekit_site.settings"}
    return run_anew(arguments, environment)


@pytest.mark.matrix
@pytest.mark.parametrize(("command", "code"), [(("exportconfig",), 0), (("runmodule", "nothing"), 3)])
def test_the_first_command_makes_the_database(tmp_path: Path, command: tuple[str, ...], code: int) -> None:
    first = manage(tmp_path, *command)
    assert first.returncode == code, first.stderr
    assert "migrating it" in first.stderr
    assert "Traceback" not in first.stderr
    again = manage(tmp_path, *command)
    assert again.returncode == code
    assert "migrating" not in again.stderr


@pytest.mark.matrix
def test_commands_that_come_first_together_make_it_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: manage(tmp_path, "exportconfig"), range(3)))
    assert [each.returncode for each in done] == [0, 0, 0], [each.stderr for each in done]


def test_doctor_looks_at_a_missing_database_and_makes_none(tmp_path: Path) -> None:
    done = manage(tmp_path, "doctor")
    assert done.returncode == 1
    assert "migrat" in done.stdout
    assert "migrating it" not in done.stderr

"""Tests of the creation of the metadata database by the first command, whichever it is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.processes.install import Install


@pytest.mark.matrix
@pytest.mark.parametrize(("command", "code"), [(("exportconfig",), 0), (("runmodule", "nothing"), 3)])
def test_the_first_command_creates_the_database(tmp_path: Path, command: tuple[str, ...], code: int) -> None:
    first = Install(tmp_path).manage(*command)
    assert first.code == code, first.err
    assert "migrating it" in first.err
    assert "Traceback" not in first.err
    again = Install(tmp_path).manage(*command)
    assert again.code == code
    assert "migrating" not in again.err


@pytest.mark.matrix
def test_commands_that_are_started_together_create_the_database_without_errors(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda _: Install(tmp_path).manage("exportconfig"), range(3)))
    assert [result.code for result in results] == [0, 0, 0], [result.err for result in results]


@pytest.mark.matrix
def test_doctor_reports_a_missing_database_and_does_not_create_it(tmp_path: Path) -> None:
    result = Install(tmp_path).manage("doctor")
    assert result.code == 1
    assert "migrat" in result.out
    assert "migrating it" not in result.err

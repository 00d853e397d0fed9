"""Checks of `doctor` about the machine: packages, Python, clock, disk and data directory."""

from __future__ import annotations

import os
import re
import shutil
import tomllib
import zoneinfo
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from pytest_django import Settings

from connections.sdk import compiled
from pipekit_site.doctor import machine
from tests.acceptance.pipekit_site.test_doctor import ROOT, run_check

pytestmark = pytest.mark.django_db


def test_every_dependency_is_checked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[\[<>=~!;, ]", dependency)[0].lower() for dependency in project["dependencies"]}
    assert set(machine.DEPENDENCIES) == names


def test_packages_that_are_missing_or_broken_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pipekit_broken.py").write_text("raise OSError('libx.so: cannot open')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(machine, "DEPENDENCIES", {"no-such-package": "x", "django": "pipekit_broken"})
    check = run_check("dependencies")
    assert check.message == (
        "Packages that cannot be imported: no-such-package: not installed; django: OSError: libx.so: cannot open."
    )
    assert check.hint.endswith("-m pip install .")


def test_compiled_modules_that_are_missing_are_a_remark_and_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(compiled.DISABLED, raising=False)
    monkeypatch.setattr(compiled, "import_compiled", lambda name: None)
    check = run_check("compiled modules")
    assert check.ok
    assert "binary_decoder" in check.message and "apt install gcc python3-dev" in check.message
    monkeypatch.setenv(compiled.DISABLED, "1")
    assert run_check("compiled modules").message.startswith("not used, because PIPEKIT_WITHOUT_COMPILED is set")


def test_a_python_that_is_too_old_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "OLDEST", (9, 0))
    assert not run_check("python").ok


def test_a_clock_that_is_before_the_installation_is_reported(settings: Settings) -> None:
    file = settings.PIPEKIT.data_dir / "secret_key"
    before = file.stat()
    os.utime(file, (before.st_mtime + 86_400,) * 2)
    try:
        assert "which is before Pipekit was installed" in run_check("clock").message
    finally:
        os.utime(file, (before.st_atime, before.st_mtime))
    assert run_check("clock").ok


def test_a_missing_time_zone_database_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise zoneinfo.ZoneInfoNotFoundError(name)

    monkeypatch.setattr("zoneinfo.ZoneInfo", missing)
    assert "time zone database is missing" in run_check("clock").message


def test_a_disk_that_is_almost_full_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2**24))
    assert "has only 16 MB left" in run_check("data directory").message


def test_a_data_directory_that_does_not_exist_is_reported(settings: Settings, tmp_path: Path) -> None:
    settings.PIPEKIT = replace(settings.PIPEKIT, data_dir=tmp_path / "missing")
    assert "cannot be written to: No such file or directory." in run_check("data directory").message

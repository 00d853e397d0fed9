"""Tests of the package: it installs only dependencies, not top-level packages such as `modules`; and of the README."""

from __future__ import annotations

import subprocess
import sysconfig
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def test_no_package_of_pipekit_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"] == {"packages": []}
    # only in site-packages: the checkout has an egg-info of its own, which lists its sources
    installed = list(distributions(name="pipekit", path=[sysconfig.get_path("purelib")]))
    if not installed:
        pytest.skip("Pipekit is not installed, only its dependencies.")
    for distribution in installed:
        names = [str(file) for file in distribution.files or []]
        assert any(name.endswith("METADATA") for name in names)
        assert [name for name in names if name.endswith(".py") and not name.startswith("__editable__")] == []


def test_the_promised_extras_exist_and_dependencies_have_version_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["optional-dependencies"]) >= {"jdbc", "tui", "snowflake", "distributed", "dev"}
    dependencies = project["dependencies"]
    assert all(any(sign in dependency for sign in "<>=") or dependency == "tzdata" for dependency in dependencies)


def test_the_readme_starts_with_two_commands_of_one_line() -> None:
    text = (ROOT / "README.md").read_text().split("\n## Start\n")[1].split("\n## ")[0]
    blocks = [block.split("\n```")[0].strip() for block in text.split("```sh\n")[1:]]
    assert len(blocks) == 2
    assert all("\n" not in block for block in blocks)
    assert blocks[0].endswith("manage.py demo")
    assert "pytest" in blocks[1]


def test_the_top_level_of_the_repository_is_the_promised_one() -> None:
    git = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if git.returncode:
        pytest.skip("An unpacked archive is not a repository.")
    top = {line.split("/")[0] for line in git.stdout.splitlines()}
    apps = {"pipekit_site", "connections", "modules", "runs", "scheduling", "introspection", "tests"}
    assert {name for name in top if not name.startswith(".")} == apps | {
        "manage.py",
        "pyproject.toml",
        "setup.py",
        "README.md",
        "LICENSE",
    }

"""Installing Pipekit brings its dependencies, and no `modules`, `runs` or `tests` into anybody's site-packages."""

from __future__ import annotations

import subprocess
import sysconfig
import tomllib
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_no_package_of_ours_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"] == {"packages": []}
    # only what is installed: the checkout has an egg-info of its own, which lists its sources
    for installed in distributions(name="pipekit", path=[sysconfig.get_path("purelib")]):
        names = [str(file) for file in installed.files or []]
        assert [name for name in names if name.endswith(".py") and not name.startswith("__editable__")] == []


def test_the_extras_are_the_promised_ones() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["optional-dependencies"]) >= {"jdbc", "tui", "snowflake", "distributed", "dev"}
    assert all(any(sign in wish for sign in "<>=") or wish in ("tzdata",) for wish in project["dependencies"])


def test_the_readme_starts_with_two_one_line_commands() -> None:
    text = (ROOT / "README.md").read_text().split("\n## Start\n")[1].split("\n## ")[0]
    blocks = [block.split("\n```")[0].strip() for block in text.split("```sh\n")[1:]]
    assert len(blocks) == 2
    assert all("\n" not in block for block in blocks)
    assert blocks[0].endswith("manage.py demo")
    assert "pytest" in blocks[1]


def test_the_top_level_is_the_promised_one() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        # an unpacked archive has no git to say what belongs to it
        return
    top = {line.split("/")[0] for line in listed.stdout.splitlines()}
    apps = {"pipekit_site", "connections", "modules", "runs", "scheduling", "introspection", "tests"}
    assert {name for name in top if not name.startswith(".")} == apps | {
        "manage.py",
        "pyproject.toml",
        "README.md",
        "LICENSE",
    }

"""Compiled modules: they are there where they can be compiled, of this version, and their absence stops nothing."""

from __future__ import annotations

import hashlib
import runpy
import shutil
import sysconfig
from pathlib import Path
from typing import Any

import Cython.Build
import pytest
import setuptools

from connections.sdk import compiled

ROOT = Path(__file__).parents[3]
HEADERS = Path(sysconfig.get_path("include"), "Python.h")


def test_all_compiled_modules_are_there_where_there_is_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    if not (shutil.which("cc") or shutil.which("gcc")) or not HEADERS.exists():
        pytest.skip("There is no C compiler.")
    monkeypatch.delenv(compiled.DISABLED, raising=False)
    assert compiled.module_names()
    missing = [name for name in compiled.module_names() if compiled.import_compiled(name) is None]
    assert missing == [], "compile them: python setup.py build_ext"


def test_a_module_that_was_compiled_from_another_source_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source, included = tmp_path / "pipekit_example.pyx", tmp_path / "part.pxi"
    source.write_text('x = 1\ninclude "part.pxi"\n')
    included.write_text("y = 2\n")
    digest = hashlib.sha256(source.read_bytes() + included.read_bytes()).hexdigest()
    source.with_suffix(".py").write_text(f"SOURCE = {digest!r}")
    monkeypatch.delenv(compiled.DISABLED, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(compiled, "_PACKAGE", tmp_path / "connections")
    assert compiled.import_compiled("pipekit_example")
    included.write_text("y = 3\n")
    assert compiled.import_compiled("pipekit_example") is None
    included.write_text("y = 2\n")
    source.write_text(source.read_text() + "z = 3\n")
    assert compiled.import_compiled("pipekit_example") is None


def setup_arguments(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what setup.py passes to setuptools."""
    arguments: dict[str, Any] = {}
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(Cython.Build, "cythonize", lambda extensions, **_: extensions)
    monkeypatch.setattr(setuptools, "setup", arguments.update)
    runpy.run_path("setup.py")
    return arguments


def test_every_source_is_compiled_into_the_module_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [extension.name for extension in setup_arguments(monkeypatch)["ext_modules"]]
    assert names == compiled.module_names()


def test_an_installation_without_a_compiler_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    arguments = setup_arguments(monkeypatch)
    example = arguments["ext_modules"][0]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CC", str(tmp_path / "no-compiler"))
    Path("x.c").write_text("")
    example.name, example.sources = "x", ["x.c"]
    command = arguments["cmdclass"]["build_ext"](setuptools.Distribution({"ext_modules": [example]}))
    command.ensure_finalized()
    command.run()
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".so"] == []

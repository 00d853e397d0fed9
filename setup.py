"""Builds the compiled modules, each beside its source ``*.pyx``; all else about the package is in pyproject.toml.

Without a C compiler or Python's headers they are left out: `connections.sdk.compiled` says what happens then.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

_BUILD = Path("build")


class BuildInPlace(build_ext):
    """Builds beside the sources, because Pipekit runs from this directory and installs no package of its own."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.inplace = True
        # not where the contents of the wheel are collected
        self.build_lib = str(_BUILD / "compiled")

    def get_outputs(self) -> list[str]:
        return []


def extension(source: Path) -> Extension:
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    # tells later whether the module was compiled from the source that is beside it
    macros = [("PIPEKIT_SOURCE", f'"{digest}"')]
    return Extension(".".join(source.with_suffix("").parts), [str(source)], define_macros=macros)


sources = sorted(Path("connections").rglob("*.pyx"))
extensions = cythonize([extension(source) for source in sources], build_dir=str(_BUILD / "cython"))
for each in extensions:
    # a failure to compile is only a warning
    each.optional = True
setup(cmdclass={"build_ext": BuildInPlace}, ext_modules=extensions)

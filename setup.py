"""Builds the compiled modules, each beside its source ``*.pyx``; all else about the package is in pyproject.toml.

Without a C compiler or Python's headers they are left out: `connections.sdk.compiled` says what happens then.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

INCLUDED = re.compile(r'^include "(.+)"$', re.MULTILINE)


class BuildBeside(build_ext):
    """Writes the modules into this directory, from which Pipekit runs, and none into the environment."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.inplace = True
        # what is in the other directory would be installed
        self.build_lib = f"{self.build_temp}/modules"


def extension(source: Path) -> Extension:
    parts = [source, *(source.with_name(name) for name in INCLUDED.findall(source.read_text()))]
    digest = hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()
    # tells later whether the module was compiled from the source that is beside it
    macros = [("PIPEKIT_SOURCE", f'"{digest}"')]
    return Extension(".".join(source.with_suffix("").parts), [str(source)], define_macros=macros)


sources = sorted(Path("connections").rglob("*.pyx"))
extensions = cythonize([extension(source) for source in sources], build_dir="build/cython")
for each in extensions:
    # a failure to compile is only a warning
    each.optional = True
setup(ext_modules=extensions, cmdclass={"build_ext": BuildBeside})

"""Imports compiled modules, which `setup.py` builds from ``*.pyx`` files when Pipekit is installed with a C compiler.

They hold the loops over single values that take most of the time of large transfers. Each of their callers has another
way, exact as well but slower, for an installation without a compiler.
"""

from __future__ import annotations

import hashlib
import os
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import connections

# without them, for tests and for a search for faults
DISABLED = "PIPEKIT_WITHOUT_COMPILED"
_INCLUDED = re.compile(r'^include "(.+)"$', re.MULTILINE)
_PACKAGE = Path(connections.__file__).parent


def import_compiled(name: str) -> ModuleType | None:
    """Return the compiled module, None if there is none or if it was compiled from another version of its source."""
    if os.environ.get(DISABLED):
        return None
    try:
        module = import_module(name)
    except ImportError:
        return None
    source = _PACKAGE.parent.joinpath(*name.split(".")).with_suffix(".pyx")
    return module if _digest(source) == module.SOURCE else None


def module_names() -> list[str]:
    """Return the names of all modules that can be compiled."""
    sources = (source.relative_to(_PACKAGE.parent).with_suffix("") for source in _PACKAGE.rglob("*.pyx"))
    return sorted(".".join(source.parts) for source in sources)


def _digest(source: Path) -> str:
    """Return that of the source and of the files that it includes, as in `setup.py`."""
    parts = [source, *(source.with_name(name) for name in _INCLUDED.findall(source.read_text()))]
    return hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()

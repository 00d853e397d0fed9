"""Reads the protection file of the installation that this jrunner belongs to, for calls with flags.

Pipekit writes the file into its data directory. Of the configuration only the location of that directory is read.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from connections.sdk.errors import Protected
from connections.sdk.files.protection import FILE_NAME, Protection

_ROOT = Path(__file__).resolve().parent.parent.parent


def read() -> Protection:
    """Return what connections must not reach.

    Where Pipekit was never started, or the file belongs to another user, that is only its data directory and databases
    with its tables. Raises Protected when the file is damaged.
    """
    file = _data_dir() / FILE_NAME
    try:
        return Protection.from_json(json.loads(file.read_text()))
    except (FileNotFoundError, PermissionError):
        return Protection(data_dir=str(file.parent))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Protected(
            f"{file}, which lists what connections must not reach, cannot be read: {type(error).__name__}.",
            hint="Run jrunner as the user that Pipekit runs as; `manage.py check` writes the file again.",
        ) from None


def _data_dir() -> Path:
    if directory := os.environ.get("PIPEKIT_DATA_DIR"):
        return _ROOT / Path(directory).expanduser()
    file = _ROOT / Path(os.environ.get("PIPEKIT_CONFIG") or "var/config.yaml").expanduser()
    directory = _configured_data_dir(file)
    return file.parent / Path(directory).expanduser() if directory else _ROOT / "var"


def _configured_data_dir(file: Path) -> str:
    if not file.is_file():
        return ""
    import yaml

    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise Protected(
            f"{file} cannot be read: {type(error).__name__}.", hint="Correct it: manage.py check reports what is wrong."
        ) from None
    return str(config.get("data_dir") or "") if isinstance(config, dict) else ""

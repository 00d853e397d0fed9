"""What the install protects that this jrunner, called by hand, is part of: as Pipekit wrote it into its data directory.

The configuration itself is read only as far as it says where that directory is.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from connections.sdk.errors import Protected
from connections.sdk.files.protection import FILE_NAME, Protection

_ROOT = Path(__file__).resolve().parent.parent.parent


def protection() -> Protection:
    """Return what is protected; only databases with Pipekit's tables where it was never started, or is another user's.

    Raises Protected when what it wrote is damaged, for then nothing is known.
    """
    file = _data_dir() / FILE_NAME
    try:
        return Protection.from_json(json.loads(file.read_text()))
    except (FileNotFoundError, PermissionError):
        return Protection(data_dir=str(file.parent))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Protected(
            f"{file}, which says what connections must not reach, cannot be read: {type(error).__name__}.",
            hint="Run jrunner as the user that Pipekit runs as; `manage.py check` writes the file again.",
        ) from None


def _data_dir() -> Path:
    if given := os.environ.get("PIPEKIT_DATA_DIR"):
        return _ROOT / Path(given).expanduser()
    file = _ROOT / Path(os.environ.get("PIPEKIT_CONFIG") or "var/config.yaml").expanduser()
    return file.parent / Path(_configured(file)).expanduser() if _configured(file) else _ROOT / "var"


def _configured(file: Path) -> str:
    if not file.is_file():
        return ""
    import yaml

    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise Protected(
            f"{file} cannot be read: {type(error).__name__}.", hint="Correct it: manage.py check says what is wrong."
        ) from None
    return str(found.get("data_dir") or "") if isinstance(found, dict) else ""

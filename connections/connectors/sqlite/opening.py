"""Opens SQLite files to read and write rows: by the compiled modules if there are any, otherwise through ADBC."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import adbc_driver_manager
import adbc_driver_sqlite

from connections.connectors.sqlite import busy_wait
from connections.connectors.sqlite.compiled.cursor import Cursor, driver_library, load_modules
from connections.connectors.sqlite.driver import IS_METADATA, checked_path
from connections.connectors.sqlite.errors import from_adbc
from connections.sdk.arrow import adbc
from connections.sdk.files.protection import refused_database
from connections.sdk.parameters import ConnectionParameters


@contextlib.contextmanager
def opened(parameters: ConnectionParameters, *, compiled: bool = True) -> Iterator[adbc.Cursor | Cursor]:
    """Open the file of the connection for reading. Raises what `from_adbc` returns, also for errors in the block."""
    path = checked_path(parameters)
    try:
        with open_cursor(path, "ro", compiled=compiled) as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {int(busy_wait.total(parameters) * 1000)}")
            check_metadata(cursor, parameters.name)
            yield cursor
    except adbc_driver_manager.Error as error:
        raise from_adbc(error, name=parameters.name, path=path) from None


def open_cursor(path: Path, mode: str, *, compiled: bool = True) -> adbc.Cursor | Cursor:
    """Return a connection to the file in autocommit mode; ``mode`` is ``ro`` or ``rw``."""
    uri = f"file:{quote(str(path))}?mode={mode}"
    if compiled and (modules := load_modules()):
        return Cursor(modules, uri)
    if library := driver_library():
        return adbc.Cursor(adbc_driver_manager.AdbcDatabase(driver=str(library), uri=uri))
    return adbc.Cursor(adbc_driver_sqlite.connect(uri))


def check_metadata(cursor: adbc.Cursor | Cursor, name: str) -> None:
    """Raise Protected when the open file is Pipekit's metadata or a copy of it."""
    cursor.execute(IS_METADATA)
    row = cursor.fetchone()
    if row is None or row[0]:
        raise refused_database(name)

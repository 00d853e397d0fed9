"""The base class of sessions on databases that are files, which this process opens itself."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from connections.sdk.errors import ConnectionFailed, DatabaseMissing, PipekitError

C = TypeVar("C")
T = TypeVar("T")


class FileSession(ABC, Generic[C]):
    """Implements `Session` over a connection in autocommit mode, except for ``fetch_read_only``.

    ``connection`` has the methods ``execute``, ``interrupt`` and ``close``; ``execute`` returns a cursor.
    """

    server_version = 0
    # base class of the driver's exceptions
    error_class: ClassVar[type[Exception]]
    begin: ClassVar[str] = "BEGIN"

    def __init__(self, connection: C, *, name: str) -> None:
        self.connection = connection
        self.name = name

    @abstractmethod
    def _row_count(self, sql: str, cursor: Any) -> int:
        """Return the number of rows that the executed statement affected, -1 if it is unknown."""

    @abstractmethod
    def _translate(self, error: Any) -> PipekitError:
        """Return Pipekit's error for one of ``error_class``."""

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        with self._translated():
            return self._wait_for(lambda: self._row_count(sql, self._execute(sql, parameters)))

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._translated():
            rows: list[tuple[Any, ...]] = self._wait_for(lambda: self._execute(sql, parameters).fetchall())
            return rows

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._translated():
            self._wait_for(lambda: self._execute(self.begin))
            try:
                yield
            except BaseException:
                self._roll_back()
                raise
            self._commit()

    def cancel(self) -> None:
        # another thread may have closed it
        with contextlib.suppress(self.error_class):
            self._driver.interrupt()

    def close(self) -> None:
        with contextlib.suppress(self.error_class):
            self._driver.close()

    def _execute(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        return self._driver.execute(sql, tuple(parameters))

    def _wait_for(self, execute: Callable[[], T]) -> T:
        """Return ``execute()``, where the system requires it after waiting for other processes."""
        return execute()

    def _commit(self) -> None:
        self._execute("COMMIT")

    def _roll_back(self) -> None:
        with contextlib.suppress(self.error_class):
            self._execute("ROLLBACK")

    @property
    def _driver(self) -> Any:
        return self.connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self.error_class as error:
            raise self._translate(error) from error


class FileMissing(DatabaseMissing):
    """The file does not exist, but its directory does."""


def check_exists(path: Path, label: str, *, create: bool) -> None:
    """Raise an error if there is no file, and none can or may be created; ``label`` begins the message.

    That is FileMissing, DatabaseMissing for a path that leads to no file, or ConnectionFailed if the file could be
    created but for its directory, which may be on a disk that is mounted later.
    """
    if path.is_dir():
        raise DatabaseMissing(f"{label} {path} is a directory.", hint="Name a file in it in the connection's URL.")
    if not path.exists() and not path.parent.is_dir():
        error_class = ConnectionFailed if create else DatabaseMissing
        raise error_class(
            f"{label} There is no directory {path.parent}.",
            hint="Create it, mount the disk that it is on, or correct the path in the connection's URL.",
        )
    if not create and not path.exists():
        hint = 'Check the path in the URL; to let a destination file be created, set the option "create": true.'
        raise FileMissing(f"{label} There is no file {path}.", hint=hint)

"""Empty databases of a test session's PostgreSQL server, used again when they can be made empty.

To make and drop one takes as long as most tests. One that differs in any way from a new one after its schemas are
dropped is dropped itself.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

_DIRECTORY = Path(__file__).parent
_EMPTY = (_DIRECTORY / "empty_database.sql").read_text()
_CONTENT = (_DIRECTORY / "database_content.sql").read_text()


class Databases:
    """The databases of one server that no test uses now."""

    def __init__(self, server: str) -> None:
        self.server = server
        self._numbers = count(1)
        self._free = list[str]()
        self._content = tuple[object, ...]()

    def take(self) -> str:
        """Return the name of an empty database."""
        if self._free:
            return self._free.pop()
        name = f"t{next(self._numbers)}"
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        if not self._content:
            self._content = self._content_of(name)
        return name

    def give_back(self, name: str) -> None:
        """Take a database back, whatever is in it and whoever is still connected to it."""
        if self._emptied(name):
            self._free.append(name)
            return
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def url(self, name: str) -> str:
        return urlunsplit(urlsplit(self.server)._replace(path=f"/{name}"))

    def _emptied(self, name: str) -> bool:
        try:
            with psycopg.connect(self.url(name), autocommit=True) as connection:
                connection.execute(_EMPTY)
            return self._content_of(name) == self._content
        except psycopg.Error:
            return False

    def _content_of(self, name: str) -> tuple[object, ...]:
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            return connection.execute(_CONTENT).fetchone() or ()

"""The connector of a SQL system, combined from the modules of its package."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from connections.sdk.capabilities import Cap
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Datatypes, Introspector, Reader, Session, Writer
from connections.sdk.records import dataclass
from connections.sdk.sql.dialect import Dialect


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlConnector:
    """A `Connector` whose reader and writer are imported on first use.

    ``package`` is the dotted path of the package that contains ``reader.READER`` and ``writer.WRITER``. These modules
    import large libraries, which only jrunner needs.
    """

    kind: str
    package: str
    capabilities: Cap
    dialect: Dialect
    datatypes: Datatypes
    introspector: Introspector
    connect: Callable[[ConnectionParameters], Session]

    @property
    def reader(self) -> Reader | None:
        return cast(Reader, import_module(f"{self.package}.reader").READER) if Cap.READ in self.capabilities else None

    @property
    def writer(self) -> Writer | None:
        return cast(Writer, import_module(f"{self.package}.writer").WRITER) if Cap.WRITE in self.capabilities else None

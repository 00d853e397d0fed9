"""A SQL system's connector, put together from the files of its package."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from connections.sdk.capabilities import Cap
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Datatypes, Introspector, Reader, Session, Writer
from connections.sdk.sql.dialect import Dialect


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlConnector:
    """A `Connector`. ``package`` is the dotted path that holds ``reader.READER`` and ``writer.WRITER``, as far as the
    capabilities go; they and their libraries are loaded only when jrunner asks for them."""

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

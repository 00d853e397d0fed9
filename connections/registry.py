"""Driver kinds by name: one dict of dotted paths, loaded when asked for. Entry points add kinds of their own.

A third-party package declares ``[project.entry-points."pipekit.connectors"]`` with ``kind = "its.package"``; the
package has the same files as ``connections/connectors/<kind>/``.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module, resources
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

from connections.sdk.capabilities import Cap
from connections.sdk.errors import ConfigurationInvalid, NotSupported
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Connector, Datatypes
from connections.sdk.sql.dialect import Dialect

if TYPE_CHECKING:  # a YAML parser is nothing that jrunner needs
    from connections.sdk.manifest import Manifest
    from connections.sdk.sql.equality import TypeEquality
    from connections.sdk.sql.hashing import Hashing, SharedHashing

_BUILT_IN = {
    "as400": "connections.connectors.as400",
    "clickhouse": "connections.connectors.clickhouse",
    "duckdb": "connections.connectors.duckdb",
    "h2": "connections.connectors.h2",
    "jdbc": "connections.connectors.jdbc",
    "mysql": "connections.connectors.mysql",
    "oracle": "connections.connectors.oracle",
    "postgresql": "connections.connectors.postgresql",
    "sqlite": "connections.connectors.sqlite",
    "sqlserver": "connections.connectors.sqlserver",
}
# kinds whose rows cannot be moved yet: text can be written, mapped and checked, not read
_TEXT_ONLY = frozenset({"as400", "clickhouse", "h2", "jdbc", "mysql", "oracle", "sqlserver"})


@cache
def packages() -> dict[str, str]:
    """Return every kind with the dotted path of its package, built-in ones winning over entry points."""
    found = {entry.name: entry.value for entry in entry_points(group="pipekit.connectors")}
    return {**found, **_BUILT_IN}


def kinds() -> tuple[str, ...]:
    return tuple(sorted(packages()))


def _package(kind: str) -> str:
    try:
        return packages()[kind]
    except KeyError:
        raise ConfigurationInvalid(
            f"There is no driver kind “{kind}”.", hint=f"The kinds are {', '.join(kinds())}."
        ) from None


@cache
def manifest(kind: str) -> Manifest:
    """Return what the kind says of itself in its ``connector.yaml``; loads none of its code but the package."""
    from connections.sdk.manifest import load

    return load(Path(str(resources.files(_package(kind)) / "connector.yaml")))


def dialect(kind: str) -> Dialect:
    """Return the kind's SQL dialect; loads no driver."""
    return cast(Dialect, import_module(f"{_package(kind)}.dialect").DIALECT)


def dialect_for(parameters: ConnectionParameters) -> Dialect:
    """Return the dialect for SQL that Pipekit writes to this connection; loads no driver and does not connect."""
    return dialect(parameters.kind).for_connection(parameters)


def datatypes(kind: str) -> Datatypes:
    """Return the kind's type mapping; loads no driver."""
    return cast(Datatypes, import_module(f"{_package(kind)}.datatypes"))


def hashing(kind: str) -> Hashing | None:
    """Return the kind's row hashing, its driver imported; None for systems that cannot hash rows."""
    name = f"{_package(kind)}.hashing"
    return cast("Hashing", import_module(name)) if find_spec(name) else None


def shared_hashing(kind: str) -> SharedHashing | None:
    """Return the kind's form of the hash that all systems share, its driver imported; None where it has none."""
    name = f"{_package(kind)}.shared_hashing"
    return cast("SharedHashing", import_module(name)) if find_spec(name) else None


def type_equality(kind: str) -> TypeEquality | None:
    """Return what the kind knows of equal values whose texts differ; None where it says nothing."""
    name = f"{_package(kind)}.equality"
    return cast("TypeEquality", import_module(name)) if find_spec(name) else None


def connector(kind: str, needs: Cap = Cap.NONE) -> Connector:
    """Return the kind's connector, its driver imported.

    Raises NotSupported when the kind cannot do what is needed, before anything is connected.
    """
    package = _package(kind)
    if kind in _TEXT_ONLY:
        raise NotSupported(
            f"Rows cannot be moved from or to {kind} yet.",
            hint="Modules on it can be written, checked and dry-run; reading and writing it comes with its driver.",
        )
    found = cast(Connector, import_module(f"{package}.connector").CONNECTOR)
    if needs & ~found.capabilities:
        missing = ", ".join(str(cap.name).lower() for cap in needs & ~found.capabilities)
        raise NotSupported(f"The {kind} connector cannot {missing}.", hint="Choose a connection of another kind.")
    return found

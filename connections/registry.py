"""The registry of connectors: driver kinds by name, imported on first use. Entry points add further kinds.

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

if TYPE_CHECKING:  # jrunner imports this module and needs no YAML parser
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
# Kinds without a driver yet: modules on them can be written and validated, but not run.
_TEXT_ONLY = frozenset({"as400", "clickhouse", "h2", "jdbc", "mysql", "oracle", "sqlserver"})


@cache
def packages() -> dict[str, str]:
    """Return the dotted path of each kind's package; built-in kinds take precedence over entry points."""
    third_party = {entry.name: entry.value for entry in entry_points(group="pipekit.connectors")}
    return {**third_party, **_BUILT_IN}


def kinds() -> tuple[str, ...]:
    """Return the names of all kinds, sorted."""
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
    """Return the kind's ``connector.yaml``; imports nothing but its package."""
    from connections.sdk.manifest import load

    return load(Path(str(resources.files(_package(kind)) / "connector.yaml")))


def dialect(kind: str) -> Dialect:
    """Return the kind's SQL dialect without importing its driver."""
    return cast(Dialect, import_module(f"{_package(kind)}.dialect").DIALECT)


def dialect_for(parameters: ConnectionParameters) -> Dialect:
    """Return the dialect of the SQL generated for this connection, without importing its driver or connecting."""
    return dialect(parameters.kind).for_connection(parameters)


def datatypes(kind: str) -> Datatypes:
    """Return the kind's type mapping without importing its driver."""
    return cast(Datatypes, import_module(f"{_package(kind)}.datatypes"))


def hashing(kind: str) -> Hashing | None:
    """Import and return the kind's row hashing, or None for systems that cannot hash rows."""
    name = f"{_package(kind)}.hashing"
    return cast("Hashing", import_module(name)) if find_spec(name) else None


def shared_hashing(kind: str) -> SharedHashing | None:
    """Import and return the kind's implementation of the hash that all systems share, or None."""
    name = f"{_package(kind)}.shared_hashing"
    return cast("SharedHashing", import_module(name)) if find_spec(name) else None


def type_equality(kind: str) -> TypeEquality | None:
    """Import and return the kind's rules for values that are equal though their texts differ, or None."""
    name = f"{_package(kind)}.equality"
    return cast("TypeEquality", import_module(name)) if find_spec(name) else None


def connector(kind: str, needs: Cap = Cap.NONE) -> Connector:
    """Import and return the kind's connector.

    Raises NotSupported, before anything connects, if it lacks one of the capabilities in ``needs``.
    """
    package = _package(kind)
    if kind in _TEXT_ONLY:
        raise NotSupported(
            f"Rows cannot be moved from or to {kind} yet.",
            hint="Modules on it can be written, checked and dry-run; reading and writing it comes with its driver.",
        )
    loaded = cast(Connector, import_module(f"{package}.connector").CONNECTOR)
    if needs & ~loaded.capabilities:
        missing = ", ".join(str(cap.name).lower() for cap in needs & ~loaded.capabilities)
        raise NotSupported(f"The {kind} connector cannot {missing}.", hint="Choose a connection of another kind.")
    return loaded

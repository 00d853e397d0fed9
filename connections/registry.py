"""The registry of connectors: the kinds of systems, with their manifests, dialects and connectors.

A kind is a folder of `connections.connectors` with a ``connector.yaml``, or an entry point: a third-party package
declares ``[project.entry-points."pipekit.connectors"]`` with ``kind = "its.package"``, which has the same files.
Connectors are imported on use.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from connections.sdk.capabilities import Cap
from connections.sdk.errors import ConfigurationInvalid, DriverMissing, NotSupported, PipekitError
from connections.sdk.manifest import Manifest
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Connector, Datatypes, LocalServer, TypeEquality
from connections.sdk.sql.dialect import Dialect

if TYPE_CHECKING:
    from connections.sdk.raw_copy import RawCopies
    from connections.sdk.sql.row_hash import Hashing, SharedHashing
    from connections.sdk.table_exchange import TableExchange

ENTRY_POINTS = "pipekit.connectors"
MANIFEST = "connector.yaml"
_BUILT_IN = "connections.connectors"
_FOLDER = Path(__file__).with_name("connectors")

# manifests passed by the parent process, so that this process needs no YAML parser
_received: dict[str, Manifest] = {}


@cache
def _built_in() -> frozenset[str]:
    return frozenset(entry.name for entry in os.scandir(_FOLDER) if os.path.isfile(f"{entry.path}/{MANIFEST}"))


@cache
def _third_party() -> dict[str, str]:
    # imported late: it is slow, and not needed as long as only built-in kinds are used
    from importlib.metadata import entry_points

    return {entry.name: entry.value for entry in entry_points(group=ENTRY_POINTS) if entry.name not in _built_in()}


def kinds() -> tuple[str, ...]:
    """Return the names of all installed kinds, sorted. Built-in kinds take precedence over entry points."""
    return tuple(sorted({*_built_in(), *_third_party()}))


def is_installed(kind: str) -> bool:
    """Return whether the kind is built in or declared by an installed package."""
    return kind in _built_in() or kind in _third_party()


def _package(kind: str) -> str:
    if kind in _built_in():
        return f"{_BUILT_IN}.{kind}"
    if kind in _third_party():
        return _third_party()[kind]
    raise ConfigurationInvalid(
        f"There is no driver kind “{kind}”.",
        hint=f"Install the package of its connector, or correct the name. The kinds are {', '.join(kinds())}.",
    )


@cache
def manifest(kind: str) -> Manifest:
    """Return the kind's manifest; imports nothing but its package. Raises ConfigurationInvalid with file and line."""
    if kind in _received:
        return _received[kind]
    # imported late because of the YAML parser
    from connections.sdk.manifest_yaml import load

    path = folder(kind) / MANIFEST
    if not path.is_file():
        raise ConfigurationInvalid(
            f"The package of the kind “{kind}” has no {MANIFEST}: {path.parent}.",
            hint=f"A connector's package must contain {MANIFEST}: add it to the package data, and install it again.",
        )
    loaded = load(path)
    if loaded.name != kind:
        raise ConfigurationInvalid(
            f"The manifest of “{kind}” has the name “{loaded.name}”.",
            hint="The folder or entry point of a connector is named as its manifest says.",
        )
    return loaded


def folder(kind: str) -> Path:
    """Return the folder of the kind's package. Raises DriverMissing if the package cannot be imported."""
    package = _package(kind)
    try:
        spec = find_spec(package)
    except ImportError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise DriverMissing(
            f"The package of the kind “{kind}” cannot be imported: {package}.", hint="Install it again."
        )
    return Path(next(iter(spec.submodule_search_locations)))


@cache
def manifests() -> Mapping[str, Manifest]:
    """Return the manifests of all kinds. Leaves out those that `problems` reports."""
    valid = {}
    for kind in kinds():
        try:
            valid[kind] = manifest(kind)
        except PipekitError:
            continue
    return valid


def problems() -> list[PipekitError]:
    """Return why kinds cannot be used: an invalid manifest, or a package that cannot be imported."""
    errors = []
    for kind in kinds():
        try:
            manifest(kind)
        except PipekitError as error:
            errors.append(error)
    return errors


def export_manifests(names: Iterable[str]) -> list[dict[str, Any]]:
    """Return the manifests of these kinds in JSON form, to pass to a child process."""
    return [manifest(kind).as_json() for kind in dict.fromkeys(names)]


def receive_manifests(data: Iterable[Mapping[str, Any]]) -> None:
    """Use the manifests that a parent process has exported. Raises KeyError or TypeError for malformed ones."""
    for item in data:
        received = Manifest.from_json(item)
        _received[received.name] = received


def _module(kind: str, name: str) -> ModuleType:
    return import_module(f"{_package(kind)}.{name}")


def url_syntax(kind: str) -> Any:
    """Import and return the kind's ``url_syntax.py``, for kinds whose manifest names no form of URLs."""
    return _module(kind, "url_syntax")


def dialect(kind: str) -> Dialect:
    """Return the kind's SQL dialect without importing its driver."""
    return cast(Dialect, _module(kind, "dialect").DIALECT)


def dialect_for(parameters: ConnectionParameters) -> Dialect:
    """Return the dialect of the SQL generated for this connection, without importing its driver or connecting."""
    return dialect(parameters.kind).for_connection(parameters)


def datatypes(kind: str) -> Datatypes:
    """Return the kind's type mapping without importing its driver."""
    return cast(Datatypes, _module(kind, "datatypes"))


def _optional_module(kind: str, name: str) -> ModuleType | None:
    return _module(kind, name) if find_spec(f"{_package(kind)}.{name}") else None


def hashing(kind: str) -> Hashing | None:
    """Import and return the kind's row hashing, or None for systems that cannot hash rows."""
    return cast("Hashing | None", _optional_module(kind, "hashing"))


def shared_hashing(kind: str) -> SharedHashing | None:
    """Import and return the kind's implementation of the hash that all systems share, or None."""
    return cast("SharedHashing | None", _optional_module(kind, "shared_hashing"))


def type_equality(kind: str) -> TypeEquality | None:
    """Import and return the kind's rules for values that are equal though their texts differ, or None."""
    return cast(TypeEquality | None, _optional_module(kind, "equality"))


def raw_copies(kind: str) -> RawCopies | None:
    """Import and return the kind's raw copies between two systems of the kind, or None."""
    return cast("RawCopies | None", _optional_module(kind, "raw_copy"))


def table_exchange(kind: str) -> TableExchange | None:
    """Import and return the kind's exchange of tables, or None."""
    return cast("TableExchange | None", _optional_module(kind, "table_exchange"))


def local_server(kind: str, options: Mapping[str, Any] | None) -> LocalServer | None:
    """Return the server on this machine that a connection's options name, or None; see the kind's ``local_server``."""
    module = _optional_module(kind, "local_server") if options else None
    return cast("LocalServer | None", module and module.of_options(options))


def connector(kind: str, needs: Cap = Cap.NONE) -> Connector:
    """Import and return the kind's connector.

    Raises NotSupported, before anything connects, if it lacks one of the capabilities in ``needs``; DriverMissing if it
    cannot be imported; ConfigurationInvalid if it is not what its manifest says.
    """
    capabilities = manifest(kind).capabilities
    if not capabilities:
        raise NotSupported(
            f"Rows cannot be moved from or to {kind} yet.",
            hint="Modules on it can be written, checked and dry-run; reading and writing it comes with its driver.",
        )
    if missing := needs & ~capabilities:
        names = ", ".join(str(cap.name).lower() for cap in missing)
        raise NotSupported(f"The {kind} connector cannot {names}.", hint="Choose a connection of another kind.")
    return _load(kind)


@cache
def _load(kind: str) -> Connector:
    module, _, name = manifest(kind).entrypoint.partition(":")
    try:
        loaded = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise DriverMissing(
            f"The connector of {kind} cannot be imported: {module}:{name}.",
            hint="Install the libraries that it needs.",
            detail=str(error),
        ) from error
    if (loaded.kind, loaded.capabilities) != (kind, manifest(kind).capabilities):
        raise ConfigurationInvalid(
            f"The connector {module}:{name} is not what its manifest says: it is {loaded.kind!r} with the capabilities"
            f" {_names(loaded.capabilities)}.",
            hint=f"The manifest says {kind!r} with {_names(manifest(kind).capabilities)}.",
        )
    return cast(Connector, loaded)


def _names(capabilities: Cap) -> str:
    return ", ".join(str(cap.name).lower() for cap in capabilities) or "none"

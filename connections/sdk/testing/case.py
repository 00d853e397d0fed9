"""The connector that the suite tests: how to connect to its system, and what that system is known not to store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from connections import registry
from connections.sdk import strict_yaml
from connections.sdk.files.protection import Protection
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Connector
from connections.sdk.strict_yaml import Value
from connections.sdk.types import DataType

# a password of which no part may occur in an error
CANARY = "pw-canary-7391"
_KEYS = frozenset(
    {"url", "username", "password", "options", "refused_url", "missing_database_url", "schema", "lacks"}
    | {"case_sensitive", "snapshots", "known_gaps"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedValues:
    """Values of one type of the system, with what the reader must deliver for each.

    ``native`` is the type as in CREATE TABLE. ``values`` maps SQL expressions to Python values, or to the integers by
    which Arrow represents dates and times outside Python's range. ``read_as`` is the type of the destination column;
    the default is that of the source.
    """

    native: str
    values: Mapping[str, Any]
    read_as: DataType | None = None

    def expected(self, arrow_type: pa.DataType) -> pa.Array:
        """Return the expected values as an array."""
        return as_array(list(self.values.values()), arrow_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorUnderTest:
    """A connector and a database of its system, in which the suite creates and drops tables named ``pipekit_test...``.

    ``parameters`` must belong to a user that may create tables, also if the connector only reads.
    """

    parameters: ConnectionParameters
    # the default is the registered connector of the kind
    connector: Connector = None  # type: ignore[assignment]
    # connections that must fail, each with one thing wrong; None where the system has no such failure
    refused: ConnectionParameters | None = None
    wrong_password: ConnectionParameters | None = None
    missing_database: ConnectionParameters | None = None
    # schema of the tables; empty for the default schema
    schema: str = ""
    # values of types that only this system has, in addition to those that every system is tested with
    own_types: tuple[TypedValues, ...] = ()
    # values that the system itself stores as another one or refuses: nan, infinity, signed_zero, nul
    lacks: frozenset[str] = frozenset()
    # whether names that differ only in case are different names
    case_sensitive: bool = True
    # whether others can write while a query is read, which then must see one snapshot
    snapshots: bool = True
    # whether the database is thrown away after the test, so that nothing needs to be dropped
    disposable: bool = False
    # seconds after which a cancelled statement must have ended
    cancel_seconds: float = 10.0
    # tests that the connector is known to fail, by name, each with the reason; they are not run
    known_gaps: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.connector is None:
            object.__setattr__(self, "connector", registry.connector(self.parameters.kind))

    @classmethod
    def from_json(cls, kind: str, text: str) -> ConnectorUnderTest:
        """Return the connector for the command line's ``--connector KIND --connection JSON``.

        The keys are url, username, password and options of the connection; refused_url and missing_database_url of
        connections that must fail; and schema, lacks, case_sensitive, snapshots and known_gaps as the
        attributes of this class, which replace what `declared` returns. Raises ValueError for text that is not such an
        object, and PipekitError if the kind has no connector or a declaration is invalid.
        """
        data = json.loads(text)
        if not isinstance(data, dict) or "url" not in data or data.keys() - _KEYS:
            raise ValueError(f"--connection must be a JSON object with url and any of {', '.join(sorted(_KEYS))}.")
        data = {**declared(kind), **data}
        parameters = ConnectionParameters(
            kind=kind,
            url=data["url"],
            username=data.get("username", ""),
            password=data.get("password", ""),
            options=data.get("options", {}),
            name="conformance",
            protection=Protection(),
        )

        def failing(key: str) -> ConnectionParameters | None:
            return replace(parameters, url=data[key]) if key in data else None

        return cls(
            parameters=parameters,
            schema=data.get("schema", ""),
            refused=failing("refused_url"),
            wrong_password=replace(parameters, password=CANARY) if parameters.password else None,
            missing_database=failing("missing_database_url"),
            lacks=frozenset(data.get("lacks", ())),
            case_sensitive=data.get("case_sensitive", True),
            snapshots=data.get("snapshots", True),
            known_gaps=data.get("known_gaps", {}),
        )


def declared(kind: str) -> dict[str, Any]:
    """Return the attributes of `ConnectorUnderTest` that ``conformance.yaml`` beside the kind's manifest declares."""
    path = registry.folder(kind) / "conformance.yaml"
    if not path.is_file():
        return {}
    fields = strict_yaml.read(path)
    values = {
        "lacks": fields.optional("lacks", lambda value: frozenset(item.text() for item in value.items())),
        "case_sensitive": fields.optional("case_sensitive", Value.flag),
        "snapshots": fields.optional("snapshots", Value.flag),
        "known_gaps": fields.optional("known_gaps", lambda value: value.plain("object")),
    }
    fields.end()
    return {name: value for name, value in values.items() if value is not None}


def as_array(values: list[Any], arrow_type: pa.DataType) -> pa.Array:
    """Return the values as an array; integers among dates and times are counts of its unit."""
    if not pa.types.is_temporal(arrow_type):
        return pa.array(values, arrow_type)
    width = pa.int32() if pa.types.is_date32(arrow_type) else pa.int64()
    counts = [value if isinstance(value, int | None) else _count(value, arrow_type, width) for value in values]
    return pa.array(counts, width).cast(arrow_type)


def _count(value: Any, arrow_type: pa.DataType, width: pa.DataType) -> int:
    count: int = pa.scalar(value, arrow_type).cast(width).as_py()
    return count

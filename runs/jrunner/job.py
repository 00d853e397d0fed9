"""The job of one transfer. The engine passes the job as JSON; `flags_transfer` makes it from flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from connections import registry
from connections.options import secret_values
from connections.sdk.claim import Claim
from connections.sdk.errors import ConfigurationInvalid
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import WriteTarget
from connections.sdk.raw_copy import RawJob
from connections.sdk.records import dataclass
from connections.sdk.schema import Column, TableName
from connections.sdk.types import DataType

BATCH_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Rows of ``query``, matched by position to ``columns`` of the existing ``table``; see `from_json` for the options.

    With ``claim`` rows are written only while the run holds the claim on the table. ``clear`` empties it first;
    ``freeze``: see `WriteTarget`.
    ``typed`` means that the columns have the types of the query's result and of the table, as both systems spell them.
    """

    source: ConnectionParameters
    query: str
    destination: ConnectionParameters
    table: TableName
    columns: tuple[Column, ...]
    clear: bool = False
    freeze: bool = False
    trim: bool = False
    typed: bool = False
    claim: Claim | None = None
    batch_bytes: int = BATCH_BYTES
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Job:
        """Return the job that the engine passes as JSON.

        ``manifests`` are those of the kinds, so that they need not be read again; a job may leave them out.
        Options: ``nul_bytes`` is ``"fail"`` (default) or ``"strip"``; ``external`` is the path of an executable that
        does the transfer instead; ``no_progress_timeout``, in seconds, determines how often progress is reported.
        Raises ConfigurationInvalid when a key is missing or has the wrong type.
        """
        try:
            registry.receive_manifests(data.get("manifests") or ())
            return cls(
                source=ConnectionParameters.from_json(data["source"]),
                query=data["query"],
                destination=ConnectionParameters.from_json(data["destination"]),
                table=TableName(data["table"].get("schema", ""), data["table"]["table"]),
                columns=tuple(_column(column) for column in data["columns"]),
                clear=bool(data.get("clear", False)),
                freeze=bool(data.get("freeze", False)),
                trim=bool(data.get("trim", False)),
                typed=bool(data.get("typed", False)),
                claim=Claim.from_json(data["claim"]) if data.get("claim") else None,
                batch_bytes=int(data.get("batch_bytes") or BATCH_BYTES),
                options=data.get("options") or {},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            # the error's text could quote the job, which contains secrets
            raise ConfigurationInvalid(
                f"jrunner does not understand the job: {type(error).__name__}.",
                hint="It needs source, query, destination, table and columns; see runs/jrunner/job.py.",
            ) from None

    def as_json(self) -> dict[str, Any]:
        """Return the job in the form that `from_json` reads, passwords included."""
        return {
            "manifests": registry.export_manifests((self.source.kind, self.destination.kind)),
            "source": self.source.as_json(),
            "query": self.query,
            "destination": self.destination.as_json(),
            "table": {"schema": self.table.schema, "table": self.table.table},
            "columns": [{**column.as_json(), "data_type": column.data_type.as_json()} for column in self.columns],
            "clear": self.clear,
            "freeze": self.freeze,
            "trim": self.trim,
            "typed": self.typed,
            "claim": self.claim.as_json() if self.claim else None,
            "batch_bytes": self.batch_bytes,
            "options": dict(self.options),
        }

    @property
    def target(self) -> WriteTarget:
        """What the rows are written to."""
        return WriteTarget(
            parameters=self.destination,
            table=self.table,
            columns=self.columns,
            clear=self.clear,
            freeze=self.freeze,
            claim=self.claim,
        )

    @property
    def raw(self) -> RawJob:
        """What a raw copy is chosen by."""
        return RawJob(source=self.source, query=self.query, target=self.target, trim=self.trim, typed=self.typed)

    @property
    def secrets(self) -> tuple[str, ...]:
        return (*secret_values(self.source), *secret_values(self.destination))


def _column(data: Mapping[str, Any]) -> Column:
    return Column(
        dest_name=data["dest_name"],
        dest_type=data["dest_type"],
        source_type=data.get("source_type", ""),
        data_type=DataType.from_json(data["data_type"]),
    )

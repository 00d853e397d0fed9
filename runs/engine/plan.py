"""What one run is to do, frozen: made from the configuration by `runs.lifecycle.plan`, or by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import Column, TableName
from runs.engine.verify.segments import Segment


class Strategy(StrEnum):
    FULL = "full"
    INCREMENTAL = "incremental"
    APPEND = "append"
    UPSERT = "upsert"


class RunOn(StrEnum):
    BEFORE = "before"
    SUCCESS = "success"
    FAILURE = "failure"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedWatermark:
    """A ``{name}`` of the source query and the query whose first column of the first row is its value."""

    name: str
    connection: ConnectionParameters
    resolver_sql: str
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """SQL around the run. ``must_succeed`` False turns its failure into a warning."""

    sql: str
    run_on: RunOn
    connection: ConnectionParameters
    must_succeed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Shares between 0 and 1 beyond which a run is refused."""

    # a full refresh must bring at least this share of the rows it replaces
    min_full_share: float = 0.5
    # key_sync may delete at most this share of the destination
    max_delete_share: float = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """The part of the table that is pulled again and made equal: ``segments`` of an integer key column.

    Without a column it is the whole table.
    """

    column: str = ""
    # rows there whose key the source does not return are deleted
    deletes: bool = True
    # of rows there that have one key, one is left
    doubles: bool = False
    # rows there are rewritten by key; otherwise only those are inserted whose key is not there
    rewrites: bool = True
    segments: tuple[Segment, ...] = ()

    def condition(self, key: str) -> str:
        """Return the SQL condition on the key expression, empty when every row is meant."""
        conditions = [segment.condition(key) for segment in self.segments]
        return f"({' OR '.join(conditions)})" if conditions and all(conditions) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run of one module. Names of columns are destination names throughout."""

    # unique per run and the same for every attempt of it: the commit record's key
    run: str
    module: str
    strategy: Strategy
    source: ConnectionParameters
    destination: ConnectionParameters
    dest_table: TableName
    source_query: str
    # given by the module; empty = derived from the query and probed
    columns: tuple[Column, ...] = ()
    merge_key: tuple[str, ...] = ()
    # the watermark column, empty = pull all
    watermark: str = ""
    # the module names none: the watermark is the first column of its key
    watermark_is_implied: bool = False
    # number, or an interval such as "2 days"; empty = none
    overlap: str = ""
    named_watermarks: tuple[NamedWatermark, ...] = ()
    hooks: tuple[Hook, ...] = ()
    key_sync: bool = False
    key_sync_query: str = ""
    supports_deletes: bool = True
    keep_latest: bool = False
    # DELETE instead of TRUNCATE: readers never wait
    delete_instead_of_truncate: bool = False
    strip_nul_bytes: bool = False
    limits: Limits = field(default_factory=Limits)
    # a repair after a verification: no bound, and extra rows are deleted at its end
    repair: Repair | None = None
    # an operator's word that safety limits do not apply to this run
    force: bool = False
    dry_run: bool = False
    # an executable that replaces the bundled jrunner's routes
    jrunner_path: str = ""
    lock_seconds: float = 30.0
    # seconds without progress after which the transfer is given up; 0 = never
    no_progress_timeout: float = 300.0
    # where jrunner writes its log, appended; empty = standard error
    log_path: str = ""

"""The plan of one run, an immutable value that `runs.lifecycle.build_plan` makes from the configuration."""

from __future__ import annotations

from dataclasses import field

from connections.sdk.parameters import ConnectionParameters
from connections.sdk.records import dataclass
from connections.sdk.schema import Column, TableName
from modules.choices import FullPublish as FullPublish
from modules.choices import RunOn as RunOn
from modules.strategies import Strategy as Strategy
from runs.engine.segments import Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedWatermark:
    """A ``{name}`` in the source query; its value is the first column of the first row of ``resolver_sql``."""

    name: str
    connection: ConnectionParameters
    resolver_sql: str
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """SQL that is executed before or after the run. Its failure is only a warning unless ``must_succeed``."""

    sql: str
    run_on: RunOn
    connection: ConnectionParameters
    must_succeed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Safety limits, as shares between 0 and 1; a run that exceeds one is refused."""

    # a full refresh must read at least this share of the number of rows that it replaces
    min_full_share: float = 0.5
    # key_sync may delete at most this share of the destination's rows
    max_delete_share: float = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """The part of the table that is read again and made equal: ``segments`` of an integer key column.

    Without a column it is the whole table.
    """

    column: str = ""
    # delete rows of the destination whose key the source does not return
    deletes: bool = True
    # of several rows of the destination with the same key, keep one
    removes_duplicates: bool = False
    # rewrite existing rows by key; otherwise only insert rows with new keys
    rewrites: bool = True
    segments: tuple[Segment, ...] = ()

    def condition(self, key: str) -> str:
        """Return the SQL condition on the key expression, empty if it is the whole table."""
        conditions = [segment.condition(key) for segment in self.segments]
        return f"({' OR '.join(conditions)})" if conditions and all(conditions) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run of one module. Column names are always those of the destination."""

    # unique per run and shared by its attempts: the key of the commit record
    run: str
    module: str
    strategy: Strategy
    source: ConnectionParameters
    destination: ConnectionParameters
    dest_table: TableName
    source_query: str
    # the table that earlier runs filled, if dest_table meant that one then and may mean another one now
    former_table: TableName | None = None
    # the number of the module's last successful run, if that one filled dest_table
    filled_by: int | None = None
    # as the module defines them; empty = derived from the query and its description by the source
    columns: tuple[Column, ...] = ()
    merge_key: tuple[str, ...] = ()
    # the watermark column; empty = read all rows
    watermark: str = ""
    # the module names no watermark column, so it is the first column of its key
    watermark_is_implied: bool = False
    # a number, or an interval such as "2 days"; empty = none
    overlap: str = ""
    named_watermarks: tuple[NamedWatermark, ...] = ()
    hooks: tuple[Hook, ...] = ()
    key_sync: bool = False
    key_sync_query: str = ""
    supports_deletes: bool = True
    keep_latest: bool = False
    full_publish: FullPublish = FullPublish.AUTO
    # the table that a full refresh exchanges remains as the staging table until the next run
    keep_previous: bool = True
    # a new table gets an index on the watermark column
    index_watermark: bool = True
    strip_nul_bytes: bool = False
    limits: Limits = field(default_factory=Limits)
    # a repair after a verification: not bounded by the watermark, and extra rows are deleted at its end
    repair: Repair | None = None
    # exchange the former table back instead of reading rows
    restore: bool = False
    # safety limits do not apply to this run
    force: bool = False
    dry_run: bool = False
    # an executable that copies the rows instead of the bundled jrunner
    jrunner_path: str = ""
    # seconds that a statement waits for a lock at the destination
    lock_timeout: float = 30.0
    # seconds without progress after which the transfer fails; 0 = never
    no_progress_timeout: float = 300.0
    # the file to which jrunner appends its log; empty = standard error
    log_path: str = ""

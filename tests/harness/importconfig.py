"""An example configuration with each section and field, and functions that import it and count its rows."""

from __future__ import annotations

from typing import Any

from pipekit_site import import_export
from pipekit_site.import_export import SECTIONS

EXAMPLE = """\
version: 1
connections:
  erp:
    driver: sqlite                              # a driver kind
    jdbc_url: jdbc:sqlite:/data/erp.db
    supports_deletes: true
    options: {}
  warehouse:
    driver: postgresql
    jdbc_url: jdbc:postgresql://127.0.0.1:5432/dw
    username: etl
    password: $DW_PW                            # only a reference; a literal secret is refused
modules:
  qcrh:
    source_connection: erp
    dest_connection: warehouse
    dest_table: sync.qcrh
    source_query: |
      SELECT "DCORD#" AS dcord, RTRIM(DCOTYP) AS dcotyp, DCODAT AS dcodat FROM QCRH WHERE DCODAT > '{since}'
    merge_strategy: incremental                 # full | incremental | append | upsert
    merge_key: dcord                            # or "a, b"
    watermark_column: dcord
    overlap: null                               # number, or an interval such as "2 days" for dates and times
    key_sync: false
    key_sync_query: null
    full_refresh_cron: null
    enabled: true
    columns: null                               # null = derived from the query and probed
    watermarks: [{name: since, connection: warehouse, resolver_sql: "SELECT max(d) FROM x", default_value: 1900-01-01}]
    hooks: [{run_order: 1, run_on: success, sql: "ANALYZE sync.qcrh"}]
groups:
  nightly: {on_failure: continue, max_parallel: 2, members: [{module: qcrh, run_order: 1}]}
schedules:
  nightly-4am: {group: nightly, cron_expr: "0 4 * * *", timezone: Europe/Berlin, enabled: true, catch_up: last}
"""


def load(text: str, **options: Any) -> Any:
    return import_export.load(text, name="config.yaml", actor="importconfig", **options)


def empty() -> None:
    """Delete the rows of all sections."""
    for section in reversed(SECTIONS):
        section.model._default_manager.all().delete()


def counts() -> dict[str, int]:
    """Return the number of rows of each section."""
    return {section.name: section.model._default_manager.count() for section in SECTIONS}

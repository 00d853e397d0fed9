"""Tests of the documented format of the configuration file: it can be imported, and its export imported again."""

from __future__ import annotations

import pytest

from modules.models import Module
from pipekit_site import import_export
from scheduling.models import Schedule

PROMISED = """
version: 1
connections:
  erp:
    driver: sqlite                              # a driver kind
    jdbc_url: jdbc:sqlite:/data/erp.db
    supports_deletes: true
    options: {}
  warehouse:
    driver: postgresql
    jdbc_url: jdbc:postgresql://127.0.0.1:5432/dw    # JDBC form, or the system's own
    username: etl
    password: $DW_PW                            # only a reference; a literal secret is refused
modules:
  qcrh:
    source_connection: erp
    dest_connection: warehouse
    dest_table: sync.qcrh
    source_query: |
      SELECT "DCORD#" AS dcord, RTRIM(DCOTYP) AS dcotyp, DCODAT AS dcodat FROM QCRH
    merge_strategy: incremental                 # full | incremental | append | upsert
    merge_key: dcord                            # or "a, b"
    watermark_column: dcord
    overlap: null                               # number, or an interval such as "2 days" for dates and times
    key_sync: false
    key_sync_query: null
    full_refresh_cron: null
    enabled: true
    columns: null                               # null = derived from the query and probed
    watermarks:
      [{name: since, connection: warehouse, resolver_sql: "SELECT max(d) FROM x", default_value: "1900-01-01"}]
    hooks: [{run_order: 1, run_on: success, sql: "ANALYZE sync.qcrh"}]
groups:
  nightly: {on_failure: continue, max_parallel: 2, members: [{module: qcrh, run_order: 1}]}
schedules:
  nightly-4am: {group: nightly, cron_expr: "0 4 * * *", timezone: Europe/Berlin, enabled: true, catch_up: last}
"""


@pytest.mark.django_db
def test_the_documented_file_can_be_imported_and_its_export_is_stable() -> None:
    import_export.load(PROMISED, name="promised.yaml", actor="test")
    module = Module.objects.get(name="qcrh")
    assert (module.merge_strategy, module.watermarks.get().default_value) == ("incremental", "1900-01-01")
    assert Schedule.objects.get().cron_expr == "0 4 * * *"
    exported = import_export.dump()
    import_export.load(exported, name="exported.yaml", actor="test")
    assert import_export.dump() == exported

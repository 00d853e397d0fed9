"""Importing a file over existing rows: updates, --prune, --dry-run and the history."""

from __future__ import annotations

import pytest

from connections.models import Connection
from modules.models import Group, Hook, Module, ModuleHistory, Watermark
from pipekit_site import import_export
from pipekit_site.configfile.problems import FileInvalid
from runs.models import Run
from scheduling.models import Schedule
from tests.harness.importconfig import EXAMPLE, counts, load

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def example() -> None:
    load(EXAMPLE)


def findings(text: str, **options: bool) -> list[str]:
    """Import an invalid file and return its findings."""
    with pytest.raises(FileInvalid) as caught:
        load(text, **options)
    return [str(finding) for finding in caught.value.findings]


def test_a_field_that_is_left_out_keeps_its_value() -> None:
    Connection.objects.filter(name="warehouse").update(max_parallel=9, username="somebody")
    load("connections: {warehouse: {supports_deletes: false}}")
    warehouse = Connection.objects.get(name="warehouse")
    assert (warehouse.max_parallel, warehouse.username, warehouse.supports_deletes) == (9, "somebody", False)


def test_null_empties_an_optional_field() -> None:
    load("modules: {qcrh: {watermark_column: null, columns: null, watermarks: null, source_query: SELECT 1 AS dcord}}")
    assert Module.objects.get().watermark_column == ""
    assert not Watermark.objects.exists()


def test_rows_that_are_not_in_the_file_are_left_unchanged() -> None:
    load("connections: {third: {driver: sqlite, jdbc_url: 'jdbc:sqlite:/x.db'}}\ngroups:\n")
    assert counts() == {"connections": 3, "modules": 1, "groups": 1, "schedules": 1}


def test_a_list_replaces_the_existing_list() -> None:
    load("modules: {qcrh: {hooks: [{sql: b, run_order: 2}, {sql: a}, {sql: c, run_order: 2}]}}")
    assert [hook.sql for hook in Hook.objects.all()] == ["a", "b", "c"]
    load("modules: {qcrh: {hooks: []}}")
    assert not Hook.objects.exists()
    assert Watermark.objects.exists()


def test_an_entry_of_a_list_keeps_fields_that_are_left_out() -> None:
    load("modules: {qcrh: {watermarks: [{name: since, default_value: '2000-01-01'}]}}")
    watermark = Watermark.objects.get()
    assert (watermark.resolver_sql, watermark.default_value) == ("SELECT max(d) FROM x", "2000-01-01")
    load("groups: {nightly: {members: [{module: qcrh, run_order: 7}]}}")
    load("groups: {nightly: {members: [{module: qcrh}]}}")
    assert Group.objects.get().members.get().run_order == 7


def test_a_query_and_its_new_watermark_are_imported_together() -> None:
    query = "SELECT A AS dcord FROM T WHERE B > {since} AND C > {other}"
    watermarks = "[{name: since}, {name: other, connection: erp, resolver_sql: SELECT 1}]"
    load(f"modules: {{qcrh: {{source_query: '{query}', watermarks: {watermarks}}}}}")
    assert sorted(Watermark.objects.values_list("name", flat=True)) == ["other", "since"]
    assert "source_query" in findings("modules: {qcrh: {source_query: 'SELECT {a} AS dcord FROM T'}}")[0]


def test_an_import_is_all_or_nothing() -> None:
    before = import_export.dump()
    text = """\
connections: {erp: {max_parallel: 9}, new: {driver: sqlite, jdbc_url: 'jdbc:sqlite:/x'}}
groups: {nightly: {max_parallel: 0}}
"""
    assert findings(text) == ["line 2: groups.nightly.max_parallel: Ensure this value is greater than or equal to 1."]
    assert import_export.dump() == before


def test_every_change_of_a_module_is_recorded_in_its_history() -> None:
    assert [(entry.version, entry.actor) for entry in ModuleHistory.objects.all()] == [(1, "importconfig")]
    load(EXAMPLE)
    assert ModuleHistory.objects.count() == 1
    load("modules: {qcrh: {enabled: false, hooks: []}}")
    latest = ModuleHistory.objects.get(version=2)
    assert sorted(latest.diff) == ["enabled", "hooks"]
    assert latest.diff["enabled"] == {"old": True, "new": False}
    load("modules: {}\ngroups: {}\nschedules: {}", prune=True)
    last = ModuleHistory.objects.order_by("-version").first()
    assert last is not None
    assert (last.module, last.module_name, last.actor) == (None, "qcrh", "importconfig")


def test_a_dry_run_shows_the_difference_and_changes_nothing() -> None:
    before = import_export.dump()
    text = EXAMPLE.replace("max_parallel: 2", "max_parallel: 3").replace("nightly-4am", "nightly-5am")
    diff = load(text, dry_run=True, prune=True).diff
    assert import_export.dump() == before
    assert ModuleHistory.objects.count() == 1
    changed = [line for line in diff.splitlines() if line[0] in "+-" and line[:3] not in ("+++", "---")]
    assert changed == ["-    max_parallel: 2", "+    max_parallel: 3", "-  nightly-4am:", "+  nightly-5am:"]


def test_a_dry_run_without_changes_shows_no_difference() -> None:
    assert load(EXAMPLE, dry_run=True).diff == ""


def test_a_dry_run_reports_the_same_errors() -> None:
    text = "groups: {nightly: {max_parallel: 0}}"
    assert findings(text, dry_run=True) == findings(text)


def test_prune_removes_rows_that_are_missing_from_sections_of_the_file() -> None:
    load("connections: {third: {driver: sqlite, jdbc_url: 'jdbc:sqlite:/x.db'}}\nmodules: {}")
    outcome = load("schedules: {}\ngroups: {}", prune=True)
    assert {name: changes.removed for name, changes in outcome.changes.items()} == {"groups": 1, "schedules": 1}
    assert counts() == {"connections": 3, "modules": 1, "groups": 0, "schedules": 0}
    load("connections: {}\nmodules: {}", prune=True)
    assert counts() == {"connections": 0, "modules": 0, "groups": 0, "schedules": 0}


def test_prune_ignores_missing_and_null_sections() -> None:
    load("version: 1\nmodules:\n", prune=True)
    assert counts() == {"connections": 2, "modules": 1, "groups": 1, "schedules": 1}


def test_prune_refuses_to_remove_rows_that_are_still_used() -> None:
    before = import_export.dump()
    reason = "it is not in this file, so --prune would remove it, but it is used by"
    assert findings("connections: {}\ngroups: {}", prune=True) == [
        f"line 1: connections.erp: {reason} module qcrh.",
        f"line 1: connections.warehouse: {reason} module qcrh.",
        f"line 1: groups.nightly: {reason} schedule nightly-4am.",
    ]
    assert findings("modules: {}", prune=True) == [f"line 1: modules.qcrh: {reason} group nightly."]
    assert import_export.dump() == before


def test_a_reference_to_a_row_that_prune_removes_is_reported_with_its_key() -> None:
    Connection.objects.create(
        name="old", driver=Connection.objects.get(name="erp").driver, jdbc_url="jdbc:sqlite:/old.db"
    )
    text = EXAMPLE.replace("source_connection: erp", "source_connection: old")
    assert (
        "qcrh.source_connection: the connection “old” is not in this file, so --prune removes it"
        in findings(text, prune=True)[0]
    )
    load(text)
    assert Module.objects.get().source_connection.name == "old"


def test_a_module_with_an_active_run_is_not_pruned() -> None:
    module = Module.objects.get()
    run = Run.objects.create(module=module, module_name=module.name)
    messages = findings("modules: {}\ngroups: {}\nschedules: {}", prune=True)
    assert messages == [f"line 1: modules.qcrh: --prune cannot remove it yet, because of run {run}."]
    assert counts() == {"connections": 2, "modules": 1, "groups": 1, "schedules": 1}


def test_a_schedule_can_get_another_target() -> None:
    load("schedules: {nightly-4am: {group: null, module: qcrh}}")
    assert Schedule.objects.get().target == Module.objects.get()


def test_changing_an_option_from_one_to_true_is_a_change() -> None:
    load("connections: {warehouse: {options: {session: {a: 1}}}}")
    outcome = load("connections: {warehouse: {options: {session: {a: true}}}}")
    assert outcome.changes["connections"].updated == 1
    assert Connection.objects.get(name="warehouse").options == {"session": {"a": True}}

"""Configuration as YAML: the content of an export, and that importing it creates the same rows and exports the same."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from django.db import models
from hypothesis import given
from hypothesis import strategies as st

from connections.models import Connection, Driver
from modules.models import Group, Hook, Module, Watermark
from pipekit_site import import_export
from pipekit_site.configfile import export
from pipekit_site.configfile.document import compose, entries
from pipekit_site.configfile.problems import Findings
from pipekit_site.import_export import SECTIONS
from scheduling.models import Schedule
from tests.harness.importconfig import EXAMPLE, counts, empty, load

pytestmark = pytest.mark.django_db

# tabs, blanks at the end of lines, empty lines, quotes
UNUSUAL_SQL = (
    "\n  SELECT\t\"A\" AS a,   \n\n\tB AS b -- 'x': # y\n"
    "   \n  FROM \"T#1\" WHERE C = 'ü\u00a0%' AND D > {z} AND E > {a}  \n\n"
)


def fill() -> None:
    """Create rows in which no field has its default, with names out of order."""
    load(EXAMPLE)
    erp = Connection.objects.get(name="erp")
    warehouse = Connection.objects.get(name="warehouse")
    session = {"b": [1, 2.5, "1", "yes", None, True], "a": "2020-01-01", "1": {}}
    Connection.objects.update(supports_deletes=False, max_parallel=9)
    Connection.objects.filter(name="warehouse").update(options={"session": session})
    module = Module.objects.create(
        name="a_first",
        source_connection=erp,
        dest_connection=warehouse,
        dest_table='"My Schema"."yes"',
        source_query=UNUSUAL_SQL,
        columns=[
            {"source_name": "A", "dest_name": "a", "dest_type": "numeric(10,2)", "trim": True},
            {"dest_name": "b"},
        ],
        merge_strategy="upsert",
        merge_key="a, b",
        watermark_column="b",
        overlap="2 days",
        duplicate_keys="keep_latest",
        full_publish="delete",
        nul_bytes="strip",
        key_sync_query="SELECT 1 AS a\r\nFROM t",
        full_refresh_cron="@weekly",
        max_retries=0,
        retry_delay=1,
        max_retry_delay=2,
        exponential_backoff=False,
        retry_timeout=7,
        enabled=False,
        owner="null",
        notes="- a: b\n\u2028\x07 # not a comment",
    )
    Watermark.objects.create(module=module, name="z", connection=erp, resolver_sql="SELECT '1'", default_value="")
    Watermark.objects.create(module=module, name="a", connection=erp, resolver_sql="SELECT 2", default_value=None)
    Hook.objects.create(module=module, run_order=2, sql="SELECT 'second'", run_on="failure", connection=erp)
    Hook.objects.create(module=module, run_order=1, sql="SELECT 'first'\n", run_on="before", on_error="warn")
    Hook.objects.create(module=module, run_order=1, sql="a", run_on="always")
    group = Group.objects.create(name="2024-01-01", on_failure="stop", max_parallel=3)
    for name, order in (("qcrh", 1), ("a_first", 1)):
        group.members.create(module=Module.objects.get(name=name), run_order=order)
    Group.objects.create(name="123")
    Schedule.objects.create(
        name="on", module=module, cron_expr="*/5 * * * *", timezone="UTC", enabled=False, catch_up="none"
    )


def test_importing_the_documented_example_creates_its_rows() -> None:
    outcome = load(EXAMPLE)
    assert counts() == {"connections": 2, "modules": 1, "groups": 1, "schedules": 1}
    assert [changes.created for changes in outcome.changes.values()] == [2, 1, 1, 1]
    warehouse = Connection.objects.get(name="warehouse")
    assert (warehouse.driver.kind, warehouse.username, warehouse.password) == ("postgresql", "etl", "$DW_PW")
    module = Module.objects.get()
    assert (module.source_connection.name, module.dest_connection.name) == ("erp", "warehouse")
    assert (module.merge_strategy, module.merge_key, module.overlap, module.columns) == (
        "incremental",
        "dcord",
        "",
        None,
    )
    assert module.source_query.startswith('SELECT "DCORD#" AS dcord') and module.source_query.endswith("'{since}'\n")
    assert module.watermarks.get().default_value == "1900-01-01"
    assert (module.hooks.get().sql, module.hooks.get().on_error) == ("ANALYZE sync.qcrh", "fail")
    assert Group.objects.get().members.get().module == module
    assert (Schedule.objects.get().target, Schedule.objects.get().timezone) == (Group.objects.get(), "Europe/Berlin")


def test_an_export_has_the_documented_keys_in_their_order() -> None:
    load(EXAMPLE)
    documented, exported = yaml.safe_load(EXAMPLE), yaml.safe_load(import_export.dump())
    assert list(exported) == list(documented)
    for section, rows in documented.items():
        if section == "version":
            continue
        for name, values in rows.items():
            keys = [key for key in exported[section][name] if key in values]
            assert keys == list(values)
            for key, value in values.items():
                if not isinstance(value, list):
                    assert exported[section][name][key] == value


def test_importing_an_export_into_an_empty_database_restores_rows_and_export() -> None:
    fill()
    first = import_export.dump()
    stored = [state(section.model) for section in SECTIONS]
    empty()
    assert import_export.dump() == "version: 1\nconnections: {}\nmodules: {}\ngroups: {}\nschedules: {}\n"
    load(first)
    assert import_export.dump() == first
    assert [state(section.model) for section in SECTIONS] == stored


def state(model: type[models.Model]) -> list[dict[str, Any]]:
    """Return the rows, sorted by name, without the fields that differ between two databases."""
    differing = {"id", "created_at", "updated_at"}
    rows = model._default_manager.order_by("name")
    names = [field.name for field in model._meta.concrete_fields if field.name not in differing]
    return [{name: plain(getattr(row, name)) for name in names} for row in rows]


def plain(value: Any) -> Any:
    return str(value) if isinstance(value, models.Model) else value


def test_importing_an_export_again_changes_nothing() -> None:
    load(EXAMPLE)
    text = import_export.dump()
    updated_at = Module.objects.get().updated_at
    outcome = load(text)
    assert {name: changes.unchanged for name, changes in outcome.changes.items()} == counts()
    assert Module.objects.get().updated_at == updated_at
    assert import_export.dump() == text


def test_an_export_has_sql_as_a_readable_block() -> None:
    load(EXAMPLE)
    Module.objects.update(source_query="SELECT 1 AS a,   \n\t2 AS b -- tab\n\nFROM t")
    assert (
        "    source_query: |-\n      SELECT 1 AS a,   \n      \t2 AS b -- tab\n\n      FROM t\n" in import_export.dump()
    )


def test_an_export_has_references_and_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DW_PW", "canary-4471")
    load(EXAMPLE)
    Connection.objects.get(name="warehouse").parameters()
    assert "password: $DW_PW" in import_export.dump()
    assert "canary-4471" not in import_export.dump()


def test_names_are_sorted_independently_of_the_database() -> None:
    load("connections:\n" + "".join(f"  {name}: {{driver: sqlite, jdbc_url: 'jdbc:sqlite:/x'}}\n" for name in "bBaA"))
    assert list(yaml.safe_load(import_export.dump())["connections"]) == ["A", "B", "a", "b"]


def test_every_editable_field_is_in_the_file() -> None:
    for section in SECTIONS:
        assert set(section.fields) == editable(section.model, {"name"})
        for part in section.parts:
            assert set(part.fields) == editable(part.model, {part.owner})


def editable(model: type[models.Model], excluded: set[str]) -> set[str]:
    names = {field.name for field in model._meta.concrete_fields if field.editable and not field.primary_key}
    return names - excluded


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_text_is_read_back_unchanged(text: str) -> None:
    written = yaml.dump({"a": {"b": [text]}, "c": text}, Dumper=export._Dumper, allow_unicode=True, width=float("inf"))
    root = entries(compose(written.encode(), "x"), "", Findings())
    assert root["c"].node.value == text


@given(lines=st.lists(st.text(" \t#:|>-'\"{}[]&*!%@a", max_size=6), min_size=2, max_size=6))
def test_any_text_of_several_lines_is_read_back_from_its_block(lines: list[str]) -> None:
    text = "\n".join(lines)
    written = yaml.dump({"a": {"c": text}}, Dumper=export._Dumper, allow_unicode=True, width=float("inf"))
    assert written.startswith("a:\n  c: |")
    inner: Any = entries(compose(written.encode(), "x"), "", Findings())["a"].node
    assert entries(inner, "a", Findings())["c"].node.value == text


def test_the_driver_of_a_connection_is_exported_as_its_kind() -> None:
    load(EXAMPLE)
    Driver.objects.filter(kind="sqlite").update(name="Another name")
    assert yaml.safe_load(import_export.dump())["connections"]["erp"]["driver"] == "sqlite"

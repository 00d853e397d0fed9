"""Configuration as YAML: what an export holds, and that importing it makes the same rows, and the same bytes again."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from django.db import models
from hypothesis import given
from hypothesis import strategies as st

from connections.models import Connection, Driver
from modules.models import Group, Hook, Module, Watermark
from pipekit_site import config_yaml
from pipekit_site.config_yaml import SECTIONS
from pipekit_site.configfile import export
from pipekit_site.configfile.document import compose, entries
from pipekit_site.configfile.problems import Findings
from scheduling.models import Schedule
from tests.benches.config_yaml import EXAMPLE, counts, empty, load

pytestmark = pytest.mark.django_db

# what SQL in the wild looks like: tabs, blanks at the end of lines, empty lines, quotes, no line feed at the end
WILD_SQL = (
    "\n  SELECT\t\"A\" AS a,   \n\n\tB AS b -- 'x': # y\n"
    "   \n  FROM \"T#1\" WHERE C = 'ü\u00a0%' AND D > {z} AND E > {a}  \n\n"
)


def fill() -> None:
    """Make rows with every field set to something that is not its default, and names out of order."""
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
        source_query=WILD_SQL,
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


def test_the_promised_example_is_what_the_rows_say() -> None:
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


def test_an_export_has_the_promised_keys_in_their_order() -> None:
    load(EXAMPLE)
    promised, found = yaml.safe_load(EXAMPLE), yaml.safe_load(config_yaml.dump())
    assert list(found) == list(promised)
    for section, rows in promised.items():
        if section == "version":
            continue
        for name, values in rows.items():
            kept = [key for key in found[section][name] if key in values]
            assert kept == list(values)
            for key, value in values.items():
                if not isinstance(value, list):
                    assert found[section][name][key] == value


def test_an_export_into_an_empty_database_exports_the_same_bytes() -> None:
    fill()
    first = config_yaml.dump()
    stored = [state(section.model) for section in SECTIONS]
    empty()
    assert config_yaml.dump() == "version: 1\nconnections: {}\nmodules: {}\ngroups: {}\nschedules: {}\n"
    load(first)
    assert config_yaml.dump() == first
    assert [state(section.model) for section in SECTIONS] == stored


def state(model: type[models.Model]) -> list[dict[str, Any]]:
    """Return the rows by name, without what differs between two databases."""
    unequal = {"id", "created_at", "updated_at"}
    rows = model._default_manager.order_by("name")
    names = [field.name for field in model._meta.concrete_fields if field.name not in unequal]
    return [{name: plain(getattr(row, name)) for name in names} for row in rows]


def plain(value: Any) -> Any:
    return str(value) if isinstance(value, models.Model) else value


def test_importing_an_export_again_changes_nothing() -> None:
    load(EXAMPLE)
    text = config_yaml.dump()
    touched = Module.objects.get().updated_at
    outcome = load(text)
    assert {name: changes.unchanged for name, changes in outcome.changes.items()} == counts()
    assert Module.objects.get().updated_at == touched
    assert config_yaml.dump() == text


def test_an_export_shows_sql_as_a_block_that_can_be_read() -> None:
    load(EXAMPLE)
    Module.objects.update(source_query="SELECT 1 AS a,   \n\t2 AS b -- tab\n\nFROM t")
    assert (
        "    source_query: |-\n      SELECT 1 AS a,   \n      \t2 AS b -- tab\n\n      FROM t\n" in config_yaml.dump()
    )


def test_an_export_holds_references_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DW_PW", "canary-4471")
    load(EXAMPLE)
    Connection.objects.get(name="warehouse").parameters()
    assert "password: $DW_PW" in config_yaml.dump()
    assert "canary-4471" not in config_yaml.dump()


def test_names_are_sorted_whatever_the_database_sorts_by() -> None:
    load("connections:\n" + "".join(f"  {name}: {{driver: sqlite, jdbc_url: 'jdbc:sqlite:/x'}}\n" for name in "bBaA"))
    assert list(yaml.safe_load(config_yaml.dump())["connections"]) == ["A", "B", "a", "b"]


def test_every_field_that_can_be_edited_is_in_the_file() -> None:
    for section in SECTIONS:
        assert set(section.fields) == editable(section.model, {"name"})
        for part in section.parts:
            assert set(part.fields) == editable(part.model, {part.owner})


def editable(model: type[models.Model], apart_from: set[str]) -> set[str]:
    names = {field.name for field in model._meta.concrete_fields if field.editable and not field.primary_key}
    return names - apart_from


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_every_text_comes_back_as_it_was_written(text: str) -> None:
    written = yaml.dump({"a": {"b": [text]}, "c": text}, Dumper=export._Dumper, allow_unicode=True, width=float("inf"))
    found = entries(compose(written.encode(), "x"), "", Findings())
    assert found["c"].node.value == text


@given(lines=st.lists(st.text(" \t#:|>-'\"{}[]&*!%@a", max_size=6), min_size=2, max_size=6))
def test_every_text_of_lines_comes_back_from_its_block(lines: list[str]) -> None:
    text = "\n".join(lines)
    written = yaml.dump({"a": {"c": text}}, Dumper=export._Dumper, allow_unicode=True, width=float("inf"))
    assert written.startswith("a:\n  c: |")
    inner: Any = entries(compose(written.encode(), "x"), "", Findings())["a"].node
    assert entries(inner, "a", Findings())["c"].node.value == text


def test_drivers_of_a_connection_are_named_by_their_kind() -> None:
    load(EXAMPLE)
    Driver.objects.filter(kind="sqlite").update(name="Another name")
    assert yaml.safe_load(config_yaml.dump())["connections"]["erp"]["driver"] == "sqlite"

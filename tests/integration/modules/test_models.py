"""Modules: every rule that saving one has to keep, with what is said when it does not."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test.utils import CaptureQueriesContext

from connections.models import Driver
from modules.models import Group, Hook, Module, Watermark
from tests.factories import (
    ConnectionFactory,
    DriverFactory,
    GroupFactory,
    GroupMemberFactory,
    HookFactory,
    ModuleFactory,
    WarehouseFactory,
    WatermarkFactory,
)

pytestmark = pytest.mark.django_db
QCRH = 'SELECT "DCORD#" AS dcord, RTRIM(DCOTYP) AS dcotyp, DCODAT AS dcodat FROM QCRH'


def unsaved(**fields: Any) -> Module:
    source = fields.pop("source_connection", None) or ConnectionFactory.create()
    dest = fields.pop("dest_connection", None) or WarehouseFactory.create()
    return ModuleFactory.build(source_connection=source, dest_connection=dest, **fields)


def refusal(module: Module) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as refused:
        module.full_clean()
    return refused.value.message_dict


def said(field: str, **fields: Any) -> str:
    """Return what is said about a field, which must be the only one with something wrong."""
    found = refusal(unsaved(**fields))
    assert list(found) == [field]
    return " ".join(found[field])


def test_a_module_needs_little() -> None:
    module = unsaved()
    module.full_clean()
    module.save()
    assert (module.merge_strategy, module.duplicate_keys, module.full_publish) == ("full", "error", "truncate")
    assert (module.max_retries, module.retry_delay, module.max_retry_delay) == (3, 5, 900)
    assert (module.exponential_backoff, module.retry_timeout, module.enabled) == (True, 3600, True)


@pytest.mark.parametrize("name", ["Orders", "2nd", "a-b", "a b", "größe", "a;drop", "_a"])
def test_a_name_must_be_a_safe_identifier(name: str) -> None:
    assert "lower-case letters" in said("name", name=name, dest_table="sync.t")


def test_a_name_leaves_room_for_its_staging_tables() -> None:
    unsaved(name="a" * 58, dest_table="sync.t").full_clean()
    assert "58" in said("name", name="a" * 59, dest_table="sync.t")


@pytest.mark.parametrize("table", ["a.b.c", 'sync."open', ".t", "sync."])
def test_a_destination_table_must_parse(table: str) -> None:
    assert "not a table name" in said("dest_table", dest_table=table)


def test_a_destination_table_fits_into_63_bytes() -> None:
    unsaved(dest_table="sync." + "t" * 63).full_clean()
    unsaved(dest_table='"my schema"."my.table"').full_clean()
    assert "63" in said("dest_table", dest_table="sync." + "t" * 64)
    assert "63" in said("dest_table", dest_table="sync." + "ä" * 32)


@pytest.mark.parametrize("strategy", ["incremental", "upsert"])
def test_strategies_by_key_need_one(strategy: str) -> None:
    assert "destination columns" in said("merge_key", merge_strategy=strategy)
    unsaved(merge_strategy=strategy, merge_key="dcord, dcotyp").full_clean()


@pytest.mark.parametrize("strategy", ["full", "append"])
def test_other_strategies_need_no_key(strategy: str) -> None:
    unsaved(merge_strategy=strategy).full_clean()


@pytest.mark.parametrize("key", ["dcord#", "DCORD#", '"DCORD#"', "DCORD"])
def test_a_source_name_as_merge_key_is_refused_with_the_right_name(key: str) -> None:
    text = said("merge_key", merge_strategy="incremental", merge_key=key)
    assert f"“{key}” is not a destination column" in text
    assert "did you mean dcord?" in text


def test_a_source_name_as_watermark_is_refused_with_the_right_name() -> None:
    assert "did you mean dcodat?" in said("watermark_column", watermark_column="DCODAT")


def test_an_unknown_key_lists_the_columns() -> None:
    assert "dcord, dcotyp, dcodat" in said("merge_key", merge_strategy="upsert", merge_key="nothing_alike")


def test_a_key_names_a_column_once() -> None:
    assert "more than once" in said("merge_key", merge_strategy="upsert", merge_key="dcord, dcord")


def test_names_of_a_star_are_not_known_and_so_not_refused() -> None:
    unsaved(source_query="SELECT * FROM QCRH", merge_strategy="incremental", merge_key="dcord").full_clean()


def test_a_source_name_that_no_column_of_a_star_can_have_is_refused_with_the_right_name() -> None:
    star = "SELECT * FROM QCRH"
    text = said("merge_key", source_query=star, merge_strategy="incremental", merge_key="DCORD#")
    assert "did you mean dcord?" in text
    text = said("watermark_column", source_query=star, watermark_column="Company Name")
    assert "did you mean company_name?" in text


@pytest.mark.parametrize(
    "query",
    ["DELETE FROM x", "SELECT a FROM t; SELECT b FROM t", "SELECT a, a FROM t", "SELECT max(a) + 1 FROM t", "x"],
)
def test_a_query_that_cannot_be_mapped_is_refused(query: str) -> None:
    assert said("source_query", source_query=query)


def test_a_column_name_over_63_bytes_is_refused() -> None:
    assert "63" in said("source_query", source_query=f"SELECT a AS {'x' * 64} FROM t")


def test_a_name_that_the_destination_has_for_itself_is_refused_with_an_alias() -> None:
    found = said("source_query", source_query="SELECT a AS id, b AS ctid FROM t")
    assert "“ctid” in postgresql" in found
    assert "AS ctid_" in found


def test_keep_latest_needs_a_row_id_that_no_column_hides() -> None:
    lite = ConnectionFactory.create()
    fields = {"dest_connection": lite, "duplicate_keys": "keep_latest", "watermark_column": "id"}
    unsaved(source_query="SELECT a AS id, b AS rowid, c AS oid FROM t", **fields).full_clean()
    query = "SELECT a AS id, b AS rowid, c AS oid, d AS _rowid_ FROM t"
    assert "another alias" in said("source_query", source_query=query, **fields)


def test_a_column_with_an_empty_name_is_told_to_get_an_alias() -> None:
    found = said("source_query", source_query='SELECT a AS id, b AS "" FROM t')
    assert found == "The name of column 2 of the query is empty. Give it an alias in the query, such as AS column_2."


def test_a_query_is_read_in_its_own_dialect() -> None:
    as400 = ConnectionFactory.create(
        driver=DriverFactory.create(kind="as400"), jdbc_url="jdbc:as400://h/LGDAT;naming=system"
    )
    query = "SELECT DCORD# AS dcord FROM LGDAT/QCRH WITH UR"
    unsaved(source_connection=as400, source_query=query, merge_strategy="incremental", merge_key="dcord").full_clean()


def test_a_token_needs_a_watermark() -> None:
    text = said("source_query", source_query="SELECT a FROM t WHERE d >= '{since}'")
    assert "{since}" in text


def test_a_watermark_without_a_token_is_harmless() -> None:
    module = unsaved()
    module.watermark_names = ["since"]
    module.full_clean()


def test_watermarks_may_be_given_before_anything_is_saved() -> None:
    module = unsaved(source_query="SELECT a FROM t WHERE d >= '{since}'")
    module.watermark_names = ["since"]
    module.full_clean()


def test_a_saved_module_is_checked_against_its_saved_watermarks() -> None:
    module = ModuleFactory.create(source_query="SELECT a FROM t WHERE d >= '{since}'")
    WatermarkFactory.create(module=module, name="other")
    assert "{since}" in refusal(module)["source_query"][0]


def test_key_sync_needs_a_key() -> None:
    assert "key_sync" in said("merge_key", key_sync=True)


def test_key_sync_needs_a_destination_that_deletes() -> None:
    warehouse = WarehouseFactory.create(supports_deletes=False)
    assert "deletes" in said("key_sync", key_sync=True, merge_key="dcord", dest_connection=warehouse)


def test_key_sync_of_a_query_with_tokens_needs_a_query_of_its_own() -> None:
    module = unsaved(source_query="SELECT a FROM t WHERE d >= '{since}'", key_sync=True, merge_key="a")
    module.watermark_names = ["since"]
    assert list(refusal(module)) == ["key_sync_query"]
    module.key_sync_query = "SELECT a FROM t"
    module.full_clean()


def test_keep_latest_needs_a_watermark_column() -> None:
    assert "watermark" in said("duplicate_keys", duplicate_keys="keep_latest")
    unsaved(duplicate_keys="keep_latest", watermark_column="dcodat").full_clean()


@pytest.mark.parametrize("overlap", ["1000", "2.5", "2 days", "1 hour 30 minutes", "1 day, 2 hours", "90 Minutes"])
def test_an_overlap_is_a_number_or_an_interval(overlap: str) -> None:
    unsaved(merge_strategy="incremental", merge_key="dcord", overlap=overlap).full_clean()


@pytest.mark.parametrize("overlap", ["-1", "2 months", "days", "1e3", "2 days ago", "0x10"])
def test_any_other_overlap_is_refused(overlap: str) -> None:
    text = said("overlap", merge_strategy="incremental", merge_key="dcord", overlap=overlap)
    assert "neither a number nor an interval" in text


def test_an_overlap_needs_a_watermark_column_to_be_taken_from() -> None:
    assert "watermark column" in said("overlap", merge_strategy="append", overlap="10")
    unsaved(merge_strategy="append", watermark_column="dcord", overlap="10").full_clean()


@pytest.mark.parametrize("cron", ["0 0 31 2 *", "* * * *", "@reboot", "R R * * *", "61 * * * *"])
def test_a_full_refresh_cron_that_never_comes_round_is_refused(cron: str) -> None:
    assert cron in said("full_refresh_cron", full_refresh_cron=cron)


def test_the_longest_wait_is_not_shorter_than_the_first() -> None:
    assert "retry_delay" in said("max_retry_delay", retry_delay=60, max_retry_delay=30)


@pytest.mark.parametrize(
    "columns",
    ["dcord", {"a": 1}, [1], [{}], [{"dest_name": ""}], [{"dest_name": 1}], [{"dest_name": "dcord", "trim": "yes"}]],
)
def test_columns_are_a_list_of_objects(columns: object) -> None:
    assert "dest_name" in said("columns", columns=columns)


def test_unknown_keys_of_a_column_are_named() -> None:
    assert "Column 1 has unknown keys: type" in said("columns", columns=[{"dest_name": "dcord", "type": "int"}])


def test_columns_are_columns_of_the_query() -> None:
    assert "did you mean dcord?" in said("columns", columns=[{"dest_name": "DCORD#"}])
    unsaved(columns=[{"dest_name": "dcord", "dest_type": "bigint", "trim": False}]).full_clean()


def test_every_mistake_is_told_at_once() -> None:
    found = refusal(unsaved(name="A", merge_strategy="upsert", overlap="x", full_refresh_cron="x"))
    assert set(found) == {"name", "merge_key", "overlap", "full_refresh_cron"}


def test_missing_fields_are_told_as_missing_and_nothing_else() -> None:
    with pytest.raises(ValidationError) as refused:
        Module().full_clean()
    assert set(refused.value.message_dict) == {
        "name",
        "source_connection",
        "dest_connection",
        "dest_table",
        "source_query",
    }


def test_the_watermark_falls_back_to_the_first_key() -> None:
    assert (
        ModuleFactory.build(merge_key="a, b", source_connection=None, dest_connection=None).effective_watermark == "a"
    )
    module = ModuleFactory.build(merge_key="a", watermark_column="c", source_connection=None, dest_connection=None)
    assert module.effective_watermark == "c"


@pytest.mark.parametrize("name", ["a b", "", "1st", "{since}"])
def test_a_watermark_is_named_as_between_braces(name: str) -> None:
    watermark = WatermarkFactory.build(module=ModuleFactory.create(), name=name, connection=WarehouseFactory.create())
    with pytest.raises(ValidationError):
        watermark.full_clean()


def test_a_watermark_stands_once_in_a_module() -> None:
    watermark = WatermarkFactory.create()
    with pytest.raises(IntegrityError), transaction.atomic():
        WatermarkFactory.create(module=watermark.module)


def test_a_hook_needs_sql() -> None:
    with pytest.raises(ValidationError):
        HookFactory.build(module=ModuleFactory.create(), sql=" \n").full_clean()


def test_parts_go_with_their_module() -> None:
    module = WatermarkFactory.create().module
    HookFactory.create(module=module)
    GroupMemberFactory.create(module=module)
    module.delete()
    assert not Watermark.objects.exists()
    assert not Hook.objects.exists()
    assert Group.objects.get().members.count() == 0


def test_a_module_stands_once_in_a_group() -> None:
    member = GroupMemberFactory.create()
    with pytest.raises(IntegrityError), transaction.atomic():
        GroupMemberFactory.create(group=member.group, module=member.module)


def test_a_group_runs_at_least_one_at_a_time() -> None:
    with pytest.raises(ValidationError):
        GroupFactory.build(max_parallel=0).full_clean()


def test_members_of_disabled_modules_are_not_runnable() -> None:
    group = GroupFactory.create()
    runs = GroupMemberFactory.create(group=group)
    GroupMemberFactory.create(group=group, module=ModuleFactory.create(enabled=False))
    assert list(group.members.runnable()) == [runs]


def test_modules_touching_a_connection_are_found_through_hooks_and_watermarks_too() -> None:
    other = WarehouseFactory.create()
    by_hook = HookFactory.create(connection=other).module
    by_watermark = WatermarkFactory.create(connection=other).module
    ModuleFactory.create()
    assert set(Module.objects.touching(other.pk)) == {by_hook, by_watermark}


def test_everything_a_run_needs_comes_in_three_queries(django_assert_num_queries: Any) -> None:
    for _ in range(3):
        HookFactory.create(module=WatermarkFactory.create().module)
    context: CaptureQueriesContext
    with django_assert_num_queries(3) as context:
        for module in Module.objects.with_parts():
            assert module.source_connection.driver.kind == "sqlite"
            assert [watermark.connection.driver.kind for watermark in module.watermarks.all()] == ["postgresql"]
            assert len(module.hooks.all()) == 1
    assert len(context) == 3


def test_drivers_are_there_in_every_test() -> None:
    assert Driver.objects.count() >= 10

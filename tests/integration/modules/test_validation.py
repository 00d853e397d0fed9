"""Validation of modules, watermarks, hooks and groups, with the messages of each rule."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from modules.models import Module
from tests.factories import (
    ConnectionFactory,
    DriverFactory,
    GroupFactory,
    HookFactory,
    ModuleFactory,
    WarehouseFactory,
    WatermarkFactory,
)

pytestmark = pytest.mark.django_db


def unsaved(**fields: Any) -> Module:
    source = fields.pop("source_connection", None) or ConnectionFactory.create()
    dest = fields.pop("dest_connection", None) or WarehouseFactory.create()
    return ModuleFactory.build(source_connection=source, dest_connection=dest, **fields)


def errors(module: Module) -> dict[str, list[str]]:
    """Validate the module, and return the error messages of each field."""
    with pytest.raises(ValidationError) as caught:
        module.full_clean()
    return caught.value.message_dict


def error(field: str, **fields: Any) -> str:
    """Return the messages of a field; it must be the only invalid one."""
    messages = errors(unsaved(**fields))
    assert list(messages) == [field]
    return " ".join(messages[field])


def test_optional_fields_of_a_module_have_defaults() -> None:
    module = unsaved()
    module.full_clean()
    module.save()
    assert (module.merge_strategy, module.duplicate_keys, module.full_publish) == ("full", "error", "auto")
    assert (module.max_retries, module.retry_delay, module.max_retry_delay) == (3, 5, 900)
    assert (module.exponential_backoff, module.retry_timeout, module.enabled) == (True, 3600, True)


@pytest.mark.parametrize("name", ["Orders", "2nd", "a-b", "a b", "größe", "a;drop", "_a"])
def test_a_name_must_be_a_safe_identifier(name: str) -> None:
    assert "lower-case letters" in error("name", name=name, dest_table="sync.t")


def test_a_name_leaves_room_for_its_staging_tables() -> None:
    unsaved(name="a" * 58, dest_table="sync.t").full_clean()
    assert "58" in error("name", name="a" * 59, dest_table="sync.t")


@pytest.mark.parametrize("table", ["a.b.c", 'sync."open', ".t", "sync."])
def test_a_destination_table_must_parse(table: str) -> None:
    assert "not a table name" in error("dest_table", dest_table=table)


def test_a_destination_table_fits_into_63_bytes() -> None:
    unsaved(dest_table="sync." + "t" * 63).full_clean()
    unsaved(dest_table='"my schema"."my.table"').full_clean()
    assert "63" in error("dest_table", dest_table="sync." + "t" * 64)
    assert "63" in error("dest_table", dest_table="sync." + "ä" * 32)


@pytest.mark.parametrize("strategy", ["incremental", "upsert"])
def test_incremental_and_upsert_need_a_merge_key(strategy: str) -> None:
    assert "destination columns" in error("merge_key", merge_strategy=strategy)
    unsaved(merge_strategy=strategy, merge_key="dcord, dcotyp").full_clean()


@pytest.mark.parametrize("strategy", ["full", "append"])
def test_full_and_append_need_no_merge_key(strategy: str) -> None:
    unsaved(merge_strategy=strategy).full_clean()


@pytest.mark.parametrize("key", ["dcord#", "DCORD#", '"DCORD#"', "DCORD"])
def test_a_source_name_as_merge_key_is_refused_with_the_right_name(key: str) -> None:
    message = error("merge_key", merge_strategy="incremental", merge_key=key)
    assert f"“{key}” is not a destination column" in message
    assert "did you mean dcord?" in message


def test_a_source_name_as_watermark_is_refused_with_the_right_name() -> None:
    assert "did you mean dcodat?" in error("watermark_column", watermark_column="DCODAT")


def test_the_error_of_an_unknown_merge_key_lists_the_columns() -> None:
    assert "dcord, dcotyp, dcodat" in error("merge_key", merge_strategy="upsert", merge_key="nothing_alike")


def test_a_merge_key_has_each_column_once() -> None:
    assert "more than once" in error("merge_key", merge_strategy="upsert", merge_key="dcord, dcord")


def test_a_star_query_allows_any_merge_key() -> None:
    unsaved(source_query="SELECT * FROM QCRH", merge_strategy="incremental", merge_key="dcord").full_clean()


def test_a_star_query_refuses_source_names_that_cannot_be_destination_names() -> None:
    star = "SELECT * FROM QCRH"
    message = error("merge_key", source_query=star, merge_strategy="incremental", merge_key="DCORD#")
    assert "did you mean dcord?" in message
    message = error("watermark_column", source_query=star, watermark_column="Company Name")
    assert "did you mean company_name?" in message


@pytest.mark.parametrize(
    "query",
    ["DELETE FROM x", "SELECT a FROM t; SELECT b FROM t", "SELECT a, a FROM t", "SELECT max(a) + 1 FROM t", "x"],
)
def test_a_query_that_cannot_be_mapped_is_refused(query: str) -> None:
    assert error("source_query", source_query=query)


def test_a_column_name_over_63_bytes_is_refused() -> None:
    assert "63" in error("source_query", source_query=f"SELECT a AS {'x' * 64} FROM t")


def test_a_column_name_reserved_by_the_destination_is_refused_with_an_alias() -> None:
    message = error("source_query", source_query="SELECT a AS id, b AS ctid FROM t")
    assert "“ctid” in postgresql" in message
    assert "AS ctid_" in message


def test_keep_latest_in_sqlite_needs_an_unused_row_id_alias() -> None:
    lite = ConnectionFactory.create()
    fields = {"dest_connection": lite, "duplicate_keys": "keep_latest", "watermark_column": "id"}
    unsaved(source_query="SELECT a AS id, b AS rowid, c AS oid FROM t", **fields).full_clean()
    query = "SELECT a AS id, b AS rowid, c AS oid, d AS _rowid_ FROM t"
    assert "another alias" in error("source_query", source_query=query, **fields)


def test_an_empty_column_name_is_refused_with_an_alias() -> None:
    message = error("source_query", source_query='SELECT a AS id, b AS "" FROM t')
    assert message == "The name of column 2 of the query is empty. Give it an alias in the query, such as AS column_2."


def test_a_query_is_parsed_in_the_dialect_of_its_source() -> None:
    as400 = ConnectionFactory.create(
        driver=DriverFactory.create(kind="as400"), jdbc_url="jdbc:as400://h/LGDAT;naming=system"
    )
    query = "SELECT DCORD# AS dcord FROM LGDAT/QCRH WITH UR"
    unsaved(source_connection=as400, source_query=query, merge_strategy="incremental", merge_key="dcord").full_clean()


def test_a_placeholder_needs_a_watermark() -> None:
    message = error("source_query", source_query="SELECT a FROM t WHERE d >= '{since}'")
    assert "{since}" in message


def test_a_watermark_without_a_placeholder_is_accepted() -> None:
    module = unsaved()
    module.watermark_names = ["since"]
    module.full_clean()


def test_an_unsaved_module_is_validated_with_given_watermark_names() -> None:
    module = unsaved(source_query="SELECT a FROM t WHERE d >= '{since}'")
    module.watermark_names = ["since"]
    module.full_clean()


def test_a_saved_module_is_validated_with_its_saved_watermarks() -> None:
    module = ModuleFactory.create(source_query="SELECT a FROM t WHERE d >= '{since}'")
    WatermarkFactory.create(module=module, name="other")
    assert "{since}" in errors(module)["source_query"][0]


def test_key_sync_needs_a_merge_key() -> None:
    assert "key_sync" in error("merge_key", key_sync=True)


def test_key_sync_needs_a_destination_that_supports_deletes() -> None:
    warehouse = WarehouseFactory.create(supports_deletes=False)
    assert "deletes" in error("key_sync", key_sync=True, merge_key="dcord", dest_connection=warehouse)


def test_key_sync_of_a_query_with_placeholders_needs_its_own_query() -> None:
    module = unsaved(source_query="SELECT a FROM t WHERE d >= '{since}'", key_sync=True, merge_key="a")
    module.watermark_names = ["since"]
    assert list(errors(module)) == ["key_sync_query"]
    module.key_sync_query = "SELECT a FROM t"
    module.full_clean()


def test_keep_latest_needs_a_watermark_column() -> None:
    assert "watermark" in error("duplicate_keys", duplicate_keys="keep_latest")
    unsaved(duplicate_keys="keep_latest", watermark_column="dcodat").full_clean()


@pytest.mark.parametrize("overlap", ["1000", "2.5", "2 days", "1 hour 30 minutes", "1 day, 2 hours", "90 Minutes"])
def test_an_overlap_is_a_number_or_an_interval(overlap: str) -> None:
    unsaved(merge_strategy="incremental", merge_key="dcord", overlap=overlap).full_clean()


@pytest.mark.parametrize("overlap", ["-1", "2 months", "days", "1e3", "2 days ago", "0x10"])
def test_any_other_overlap_is_refused(overlap: str) -> None:
    message = error("overlap", merge_strategy="incremental", merge_key="dcord", overlap=overlap)
    assert "neither a number nor an interval" in message


def test_an_overlap_needs_a_watermark_column() -> None:
    assert "watermark column" in error("overlap", merge_strategy="append", overlap="10")
    unsaved(merge_strategy="append", watermark_column="dcord", overlap="10").full_clean()


@pytest.mark.parametrize("cron", ["0 0 31 2 *", "* * * *", "@reboot", "R R * * *", "61 * * * *"])
def test_an_invalid_or_never_due_full_refresh_cron_is_refused(cron: str) -> None:
    assert cron in error("full_refresh_cron", full_refresh_cron=cron)


def test_max_retry_delay_is_at_least_retry_delay() -> None:
    assert "retry_delay" in error("max_retry_delay", retry_delay=60, max_retry_delay=30)


@pytest.mark.parametrize(
    "columns",
    ["dcord", {"a": 1}, [1], [{}], [{"dest_name": ""}], [{"dest_name": 1}], [{"dest_name": "dcord", "trim": "yes"}]],
)
def test_columns_must_be_a_list_of_objects(columns: object) -> None:
    assert "dest_name" in error("columns", columns=columns)


def test_the_error_names_unknown_keys_of_a_column() -> None:
    assert "Column 1 has unknown keys: type" in error("columns", columns=[{"dest_name": "dcord", "type": "int"}])


def test_columns_must_be_columns_of_the_query() -> None:
    assert "did you mean dcord?" in error("columns", columns=[{"dest_name": "DCORD#"}])
    unsaved(columns=[{"dest_name": "dcord", "dest_type": "bigint", "trim": False}]).full_clean()


def test_all_errors_are_reported_at_once() -> None:
    messages = errors(unsaved(name="A", merge_strategy="upsert", overlap="x", full_refresh_cron="x"))
    assert set(messages) == {"name", "merge_key", "overlap", "full_refresh_cron"}


def test_missing_fields_raise_no_other_errors() -> None:
    with pytest.raises(ValidationError) as caught:
        Module().full_clean()
    assert set(caught.value.message_dict) == {
        "name",
        "source_connection",
        "dest_connection",
        "dest_table",
        "source_query",
    }


@pytest.mark.parametrize("name", ["a b", "", "1st", "{since}"])
def test_the_name_of_a_watermark_must_be_a_valid_placeholder(name: str) -> None:
    watermark = WatermarkFactory.build(module=ModuleFactory.create(), name=name, connection=WarehouseFactory.create())
    with pytest.raises(ValidationError):
        watermark.full_clean()


def test_a_hook_needs_sql() -> None:
    with pytest.raises(ValidationError):
        HookFactory.build(module=ModuleFactory.create(), sql=" \n").full_clean()


def test_a_group_needs_max_parallel_of_at_least_one() -> None:
    with pytest.raises(ValidationError):
        GroupFactory.build(max_parallel=0).full_clean()

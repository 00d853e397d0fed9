"""The admin pages of modules and groups: validation errors beside their fields, warnings, actions and history."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from modules import history
from modules.models import Group, Module, ModuleHistory
from tests.factories import ConnectionFactory, ModuleFactory, WarehouseFactory

pytestmark = pytest.mark.django_db
ADD = "admin:modules_module_add"


def form(watermarks: list[dict[str, Any]] | None = None, **fields: Any) -> dict[str, Any]:
    rows = watermarks or []
    data = {
        "name": "qcrh",
        "enabled": "on",
        "source_connection": ConnectionFactory.create().pk,
        "dest_connection": WarehouseFactory.create().pk,
        "dest_table": "sync.qcrh",
        "source_query": 'SELECT "DCORD#" AS dcord,\r\n  DCODAT AS dcodat FROM QCRH',
        "columns": "",
        "merge_strategy": "full",
        "duplicate_keys": "error",
        "full_publish": "truncate",
        "nul_bytes": "fail",
        "max_retries": 3,
        "retry_delay": 5,
        "max_retry_delay": 900,
        "exponential_backoff": "on",
        "retry_timeout": 3600,
        "watermarks-TOTAL_FORMS": len(rows),
        "watermarks-INITIAL_FORMS": 0,
        "hooks-TOTAL_FORMS": 1,
        "hooks-INITIAL_FORMS": 0,
        "hooks-0-run_order": 1,
        "hooks-0-run_on": "success",
        "hooks-0-sql": "ANALYZE sync.qcrh",
        "hooks-0-on_error": "warn",
    }
    inline = {f"watermarks-{number}-{name}": value for number, row in enumerate(rows) for name, value in row.items()}
    return {**data, **inline, **fields}


def test_a_module_is_added_with_its_watermark_and_hook(admin_client: Client) -> None:
    query = "SELECT a FROM t WHERE d >= '{since}'"
    since = {
        "name": "since",
        "connection": WarehouseFactory.create().pk,
        "resolver_sql": "SELECT 1",
        "default_value": "0",
    }
    response = admin_client.post(reverse(ADD), form([since], source_query=query))
    assert response.status_code == 302, response.context["errors"]
    module = Module.objects.get()
    assert [watermark.name for watermark in module.watermarks.all()] == ["since"]
    assert [hook.on_error for hook in module.hooks.all()] == ["warn"]
    version = module.history.get()
    assert version.actor == "admin"
    assert version.diff["watermarks"]["new"][0]["name"] == "since"
    assert version.diff["hooks"]["new"][0]["sql"] == "ANALYZE sync.qcrh"


def test_the_line_breaks_of_a_submitted_query_are_normalized(admin_client: Client) -> None:
    admin_client.post(reverse(ADD), form())
    assert Module.objects.get().source_query == 'SELECT "DCORD#" AS dcord,\n  DCODAT AS dcodat FROM QCRH'
    assert Module.objects.get().columns is None


def test_placeholders_are_checked_against_the_watermarks_of_the_same_form(admin_client: Client) -> None:
    response = admin_client.post(reverse(ADD), form(source_query="SELECT a FROM t WHERE d >= '{since}'"))
    assert response.status_code == 200
    (message,) = response.context["adminform"].form.errors["source_query"]
    assert "{since}" in message
    since = {"name": "since", "connection": WarehouseFactory.create().pk, "resolver_sql": "SELECT 1"}
    assert not Module.objects.exists()
    valid = form([since], source_query="SELECT a FROM t WHERE d >= '{since}'")
    assert admin_client.post(reverse(ADD), valid).status_code == 302
    assert Module.objects.exists()


def test_a_source_name_as_merge_key_is_refused_with_the_right_name(admin_client: Client) -> None:
    response = admin_client.post(reverse(ADD), form(merge_strategy="incremental", merge_key="dcord#"))
    assert "did you mean dcord?" in response.content.decode()


@pytest.mark.parametrize("strategy", ["incremental", "upsert"])
def test_saving_an_incremental_module_warns_of_columns_that_lose_their_values(
    admin_client: Client, strategy: str
) -> None:
    response = admin_client.post(reverse(ADD), form(merge_strategy=strategy, merge_key="dcord"), follow=True)
    assert Module.objects.exists()
    assert ("lose their values" in response.content.decode()) is (strategy == "incremental")


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(("key", "warns"), [("RTRIM(DCOTYP) AS dcord", True), ('"DCORD#" AS dcord', False)])
def test_saving_a_module_with_a_text_key_as_watermark_warns_of_rows_that_are_never_read(
    admin_client: Client, key: str, warns: bool
) -> None:
    fields: dict[str, Any] = {"merge_strategy": "incremental", "merge_key": "dcord"}
    fields["source_query"] = f"SELECT {key} FROM QCRH"
    response = admin_client.post(reverse(ADD), form(**fields), follow=True)
    assert Module.objects.exists()
    assert ("rows with a lower one are never read" in response.content.decode()) is warns


def test_an_edit_is_recorded_with_its_diff_and_can_be_reverted(admin_client: Client) -> None:
    admin_client.post(reverse(ADD), form())
    module = Module.objects.get()
    change = reverse("admin:modules_module_change", args=[module.pk])
    hooks: dict[str, Any] = {"hooks-INITIAL_FORMS": 1, "hooks-0-id": module.hooks.get().pk, "hooks-0-module": module.pk}
    connections: dict[str, Any] = {
        "source_connection": module.source_connection_id,
        "dest_connection": module.dest_connection_id,
    }
    response = admin_client.post(change, form(**hooks, **connections, owner="Ben"))
    assert response.status_code == 302
    assert module.history.get(version=2).diff == {"owner": {"old": "", "new": "Ben"}}

    first = module.history.get(version=1)
    history_page = reverse("admin:modules_modulehistory_changelist")
    page = admin_client.post(history_page, {"action": "restore", "_selected_action": [first.pk]}, follow=True)
    assert "qcrh version 1 is restored." in page.content.decode()
    assert Module.objects.get().owner == ""
    assert module.history.count() == 3


def test_the_history_of_a_module_shows_the_diff_and_the_actor(admin_client: Client) -> None:
    module = ModuleFactory.create()
    with history.recorded(module, actor="ben"):
        module.source_query += "\nWHERE x < 1"
        module.save()
    content = admin_client.get(reverse("admin:modules_module_history", args=[module.pk]), follow=True).content.decode()
    assert "+WHERE x &lt; 1" in content
    assert "ben" in content


def test_selected_modules_are_disabled(admin_client: Client) -> None:
    modules = ModuleFactory.create_batch(2)
    changelist = reverse("admin:modules_module_changelist")
    admin_client.post(changelist, {"action": "disable", "_selected_action": [module.pk for module in modules]})
    assert not Module.objects.enabled().exists()
    assert ModuleHistory.objects.filter(actor="admin").count() == 2


@pytest.mark.parametrize("bulk", [True, False])
def test_deleting_a_module_is_recorded_in_the_history(admin_client: Client, bulk: bool) -> None:
    module = ModuleFactory.create(name="qcrh")
    if bulk:
        data = {"action": "delete_selected", "_selected_action": [module.pk], "post": "yes"}
        admin_client.post(reverse("admin:modules_module_changelist"), data)
    else:
        admin_client.post(reverse("admin:modules_module_delete", args=[module.pk]), {"post": "yes"})
    assert not Module.objects.exists()
    assert ModuleHistory.objects.get(module_name="qcrh").diff["name"] == {"old": "qcrh", "new": None}


def test_a_group_is_added_with_its_members(admin_client: Client) -> None:
    first, second = ModuleFactory.create_batch(2)
    data = {"name": "nightly", "on_failure": "stop", "max_parallel": 2}
    data |= {"members-TOTAL_FORMS": 2, "members-INITIAL_FORMS": 0}
    data |= {"members-0-module": first.pk, "members-0-run_order": 1, "members-1-module": second.pk}
    response = admin_client.post(reverse("admin:modules_group_add"), {**data, "members-1-run_order": 2})
    assert response.status_code == 302, response.context["errors"]
    assert [member.module for member in Group.objects.get().members.all()] == [first, second]


def test_the_list_takes_the_same_number_of_queries_for_any_number_of_modules(
    admin_client: Client, django_assert_num_queries: Any
) -> None:
    changelist = reverse("admin:modules_module_changelist")
    ModuleFactory.create()
    # fills the caches that are kept between requests
    admin_client.get(changelist)
    with CaptureQueriesContext(connection) as queries:
        admin_client.get(changelist)
    assert len(queries) <= 14
    ModuleFactory.create_batch(12)
    with django_assert_num_queries(len(queries)):
        assert len(admin_client.get(changelist).context["cl"].result_list) == 13

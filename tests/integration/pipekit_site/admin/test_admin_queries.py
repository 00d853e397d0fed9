"""The admin takes a fixed number of queries for each page."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.factories import (
    GroupFactory,
    GroupMemberFactory,
    GroupRunFactory,
    RunFactory,
    ScheduleFactory,
)

pytestmark = pytest.mark.django_db
RUNS = "/admin/runs/run/"


def queries(client: Client, url: str) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return [query["sql"] for query in captured.captured_queries]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("query", ["", "?q=orders", "?q=%2317", "?status__exact=error", "?by=schedule:1", "?p=3"])
def test_the_list_of_runs_takes_no_count_query(admin_client: Client, query: str) -> None:
    RunFactory.create_batch(3)
    statements = queries(admin_client, f"{RUNS}{query}")
    assert [sql for sql in statements if "COUNT(" in sql] == []
    assert len(statements) <= 6
    listed = [sql for sql in statements if 'FROM "run_log"' in sql and "ORDER BY" in sql]
    assert len(listed) == 1
    assert "merge_sql" not in listed[0]


LISTS = ("modules_module", "modules_group", "connections_connection", "runs_grouprun", "scheduling_schedule")


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("name", LISTS)
def test_a_list_takes_the_same_number_of_queries_for_any_number_of_rows(admin_client: Client, name: str) -> None:
    url = reverse(f"admin:{name}_changelist")

    def add_rows(count: int) -> int:
        """Add rows and return the number of queries that the list then takes."""
        for _ in range(count):
            member = GroupMemberFactory.create()
            ScheduleFactory.create(group=member.group)
            RunFactory.create(
                module=member.module, group_run=GroupRunFactory.create(group=member.group, status="error")
            )
        return len(queries(admin_client, url))

    add_rows(2)
    few, many = add_rows(1), add_rows(12)
    assert many == few <= 12


def test_a_group_page_takes_the_same_number_of_queries_for_any_number_of_members(admin_client: Client) -> None:
    group = GroupFactory.create()
    url = reverse("admin:modules_group_change", args=[group.pk])
    GroupMemberFactory.create_batch(2, group=group)
    # fills the caches that are kept between requests
    queries(admin_client, url)
    few = len(queries(admin_client, url))
    names = [member.module.name for member in GroupMemberFactory.create_batch(10, group=group)]
    assert len(queries(admin_client, url)) == few
    page = admin_client.get(url).content.decode()
    assert all(f">{name}<" in re.sub(r">\s+|\s+<", lambda match: match[0].strip(), page) for name in names)

"""The admin pages of runs: the list, its search, and what the page of a run shows."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from modules.models import Module
from runs.admin import formatting
from runs.models import Run
from tests.factories import ModuleFactory, RunFactory, create_running_run

pytestmark = pytest.mark.django_db


def page(client: Client, run: Run) -> str:
    return client.get(reverse("admin:runs_run_change", args=[run.pk])).content.decode()


def test_the_page_of_a_failed_run_shows_the_whole_error_and_the_warnings(admin_client: Client) -> None:
    run = create_running_run()
    error = {"code": "table_missing", "message": "No table.", "hint": "Make it.", "detail": "<ORA-00942>"}
    run.finish_error(error, warnings=["It is late."])
    content = page(admin_client, run)
    for text in ("No table.", "Make it.", "table_missing", "&lt;ORA-00942&gt;", "It is late.", "Error"):
        assert text in content
    assert "<ORA" not in content


def test_the_page_of_a_successful_run_shows_counts_sql_and_watermarks_and_no_problems(admin_client: Client) -> None:
    run = create_running_run()
    sql = 'SELECT "DCORD#" AS dcord FROM QCRH WHERE "DCORD#" > 12345'
    results = {"source_query": sql, "merge_sql": "INSERT INTO x", "watermarks": {"dcord": {"in": "12345", "out": None}}}
    run.finish_success(read=1234567, inserted=0, bytes=2048, **results)
    content = page(admin_client, run)
    assert "1\u202f234\u202f567" in content
    assert "&quot;DCORD#&quot; &gt; 12345" in content
    assert "dcord: 12345 → (none)" in content
    assert "Tries, those to connect included" in content
    assert "Problems" not in content


def test_the_list_shows_states_and_can_be_searched_by_module(admin_client: Client) -> None:
    create_running_run(module=ModuleFactory.create(name="qcrh"))
    RunFactory.create(module=ModuleFactory.create(name="other"))
    changelist = reverse("admin:runs_run_changelist")
    content = admin_client.get(changelist).content.decode()
    assert re.findall(r'data-label="Status">.*?</span>(\w+)</span>', content) == ["Queued", "Running"]
    results = admin_client.get(changelist, {"q": "qcrh"}).context["cl"].result_list
    assert [run.module_name for run in results] == ["qcrh"]


def test_the_list_takes_as_many_queries_for_many_runs_as_for_one(
    admin_client: Client, django_assert_num_queries: Any
) -> None:
    changelist = reverse("admin:runs_run_changelist")
    RunFactory.create()
    # fill the caches
    admin_client.get(changelist)
    with CaptureQueriesContext(connection) as queries:
        admin_client.get(changelist)
    assert len(queries) <= 10
    RunFactory.create_batch(12)
    with django_assert_num_queries(len(queries)):
        assert len(admin_client.get(changelist).context["cl"].result_list) == 13


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.123, "0.12 s"), (12.3, "12 s"), (61, "1 min 01 s"), (3600 * 2 + 60 * 5, "2 h 05 min")]
)
def test_durations_are_shown_in_units_of_their_size(seconds: float, shown: str) -> None:
    start = timezone.now()
    run = Run(started_at=start, finished_at=start + dt.timedelta(seconds=seconds))
    assert formatting.duration(run).replace("\u00a0", " ") == shown


def test_runs_are_found_by_number_and_by_the_name_of_their_module_even_if_it_was_deleted(admin_client: Client) -> None:
    first, second = RunFactory.create(status="success"), RunFactory.create()
    second_name = second.module_name
    Module.objects.get(name=first.module_name).delete()
    changelist = reverse("admin:runs_run_changelist")

    def search(term: str) -> list[int]:
        return [run.pk for run in admin_client.get(changelist, {"q": term}).context["cl"].result_list]

    assert search(f"#{second.pk}") == [second.pk]
    assert search(second_name) == [second.pk]
    assert search(first.module_name) == [first.pk]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("term", ["²", "#²", "٣²", "9" * 5000])
@pytest.mark.parametrize("model", ["run", "grouprun", "verification"])
def test_a_search_term_of_unusual_digits_finds_nothing(admin_client: Client, model: str, term: str) -> None:
    RunFactory.create()
    response = admin_client.get(reverse(f"admin:runs_{model}_changelist"), {"q": term})
    assert (response.status_code, list(response.context["cl"].result_list)) == (200, [])


@pytest.mark.parametrize("number", ["²", ""])
def test_a_trigger_without_a_number_is_shown_as_it_is(number: str) -> None:
    assert formatting.trigger(Run(trigger=f"verification:{number}")) == f"verification:{number}"


def test_the_filter_by_day_uses_the_server_s_time_zone(admin_client: Client) -> None:
    run = create_running_run()
    # half past midnight in Berlin is still the day before in UTC
    Run.objects.filter(pk=run.pk).update(started_at=dt.datetime(2027, 1, 10, 23, 30, tzinfo=dt.UTC))
    changelist = reverse("admin:runs_run_changelist")
    for day, count in (("2027-01-10", 0), ("2027-01-11", 1)):
        filters = {"started_at_from_0": day, "started_at_to_0": day}
        assert len(admin_client.get(changelist, filters).context["cl"].result_list) == count
    content = admin_client.get(changelist).content.decode()
    assert "2027-01-11 00:30:00</time>" in content
    assert 'title="2027-01-10 23:30:00 UTC' in content

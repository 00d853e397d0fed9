"""The admin pages of connections: the form, the list and the test action. A literal password is never sent back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.html import escape

from connections.models import Connection, Driver
from tests.factories import ConnectionFactory, WarehouseFactory

pytestmark = pytest.mark.django_db


def form(**fields: Any) -> dict[str, Any]:
    driver = Driver.objects.get(kind="postgresql").pk
    data = {"name": "dw", "driver": driver, "jdbc_url": "postgresql://h/dw", "username": "etl", "password": "$DW_PW"}
    return {**data, "supports_deletes": "on", "max_parallel": 4, "options": "", **fields}


def add(client: Client, **fields: Any) -> tuple[int, str]:
    response = client.post(reverse("admin:connections_connection_add"), form(**fields))
    return response.status_code, response.content.decode()


def test_a_connection_is_added(admin_client: Client) -> None:
    assert add(admin_client)[0] == 302
    row = Connection.objects.get()
    assert (row.name, row.password, row.options) == ("dw", "$DW_PW", {})


def test_a_literal_password_is_refused_and_not_sent_back(admin_client: Client) -> None:
    status, content = add(admin_client, password="geheim-17")
    assert status == 200
    assert "manage.py secrets set" in content
    assert "geheim-17" not in content
    assert not Connection.objects.exists()


def test_an_invalid_url_is_reported_beside_its_field(admin_client: Client) -> None:
    response = admin_client.post(reverse("admin:connections_connection_add"), form(jdbc_url="jdbc:mysql://h/db"))
    assert response.status_code == 200
    errors = response.context["adminform"].form.errors
    assert list(errors) == ["jdbc_url"]
    (message,) = errors["jdbc_url"]
    assert "postgresql" in message
    assert escape(message) in response.content.decode()
    assert not Connection.objects.exists()


def test_the_list_shows_the_last_test_and_the_reference(admin_client: Client) -> None:
    WarehouseFactory.create(name="dw").record_test(ok=True, message="fine")
    content = admin_client.get(reverse("admin:connections_connection_changelist")).content.decode()
    assert "works</span>" in content
    assert "just now" in content
    assert "$DW_PW" in content


def test_the_list_takes_the_same_number_of_queries_for_any_number_of_connections(
    admin_client: Client, django_assert_num_queries: Any
) -> None:
    changelist = reverse("admin:connections_connection_changelist")
    WarehouseFactory.create()
    # fills the caches that are kept between requests
    admin_client.get(changelist)
    with CaptureQueriesContext(connection) as queries:
        admin_client.get(changelist)
    assert len(queries) <= 12
    WarehouseFactory.create_batch(12)
    with django_assert_num_queries(len(queries)):
        assert len(admin_client.get(changelist).context["cl"].result_list) == 13


def test_selected_connections_are_tested_and_their_results_shown(admin_client: Client, tmp_path: Path) -> None:
    (tmp_path / "erp.db").touch()
    working = ConnectionFactory.create(name="erp", jdbc_url=f"jdbc:sqlite:{tmp_path}/erp.db")
    failing = WarehouseFactory.create(name="dw", jdbc_url="postgresql://nowhere.invalid/dw", password="")
    changelist = reverse("admin:connections_connection_changelist")
    data = {"action": "test", "_selected_action": [working.pk, failing.pk]}
    content = admin_client.post(changelist, data, follow=True).content.decode()
    assert "erp works." in content
    assert "dw does not work." in content
    assert "The host name “nowhere.invalid” is unknown." in content
    assert [row.last_test_ok for row in Connection.objects.order_by("name")] == [False, True]
    page = admin_client.get(reverse("admin:connections_connection_change", args=[failing.pk])).content.decode()
    assert "The host name “nowhere.invalid” is unknown." in page


def test_at_most_five_connections_are_tested_at_once(admin_client: Client) -> None:
    rows = ConnectionFactory.create_batch(6)
    data = {"action": "test", "_selected_action": [row.pk for row in rows]}
    content = admin_client.post(reverse("admin:connections_connection_changelist"), data, follow=True).content.decode()
    assert "at most 5 can be tested at once" in content
    assert Connection.objects.filter(last_tested_at=None).count() == 6


def test_the_list_shows_which_secrets_are_not_set(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    WarehouseFactory.create(name="dw")
    changelist = reverse("admin:connections_connection_changelist")
    assert "not set</span>" in admin_client.get(changelist).content.decode()
    monkeypatch.setenv("DW_PW", "geheim-17")
    content = admin_client.get(changelist).content.decode()
    assert "not set</span>" not in content
    assert "geheim-17" not in content

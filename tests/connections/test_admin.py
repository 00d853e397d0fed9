"""The connection pages: a secret typed into the password field is refused and never sent back."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from connections.models import Connection, Driver
from tests.factories import WarehouseFactory

pytestmark = pytest.mark.django_db


def form(**fields: Any) -> dict[str, Any]:
    driver = Driver.objects.get(kind="postgresql").pk
    filled = {"name": "dw", "driver": driver, "jdbc_url": "postgresql://h/dw", "username": "etl", "password": "$DW_PW"}
    return {**filled, "supports_deletes": "on", "max_parallel": 4, "options": "", **fields}


def add(client: Client, **fields: Any) -> tuple[int, str]:
    answer = client.post(reverse("admin:connections_connection_add"), form(**fields))
    return answer.status_code, answer.content.decode()


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


def test_a_wrong_url_is_told_beside_its_field(admin_client: Client) -> None:
    status, content = add(admin_client, jdbc_url="jdbc:mysql://h/db")
    assert status == 200
    assert "errorlist" in content or "postgresql" in content
    assert not Connection.objects.exists()


def test_the_list_tells_of_tests_and_use(admin_client: Client) -> None:
    WarehouseFactory.create(name="dw").record_test(ok=True, message="fine")
    content = admin_client.get(reverse("admin:connections_connection_changelist")).content.decode()
    assert "works, 0" in content
    assert "$DW_PW" in content


def test_the_list_takes_as_many_queries_for_many_as_for_one(
    admin_client: Client, django_assert_max_num_queries: Any
) -> None:
    WarehouseFactory.create_batch(12)
    with django_assert_max_num_queries(12):
        admin_client.get(reverse("admin:connections_connection_changelist"))

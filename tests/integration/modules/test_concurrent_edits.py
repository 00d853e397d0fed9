"""Concurrent edits of a module are recorded as consecutive versions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.urls import reverse

from modules import history
from modules.models import Module, ModuleHistory
from tests.factories import ModuleFactory
from tests.integration.modules.test_admin import form


@pytest.mark.django_db(transaction=True)
def test_concurrent_edits_are_recorded_as_consecutive_versions() -> None:
    module = ModuleFactory.create()

    def edit(number: int) -> None:
        row = Module.objects.get(pk=module.pk)
        with history.recorded(row, actor=f"editor {number}"):
            row.owner = f"editor {number}"
            row.save()

    at_once(6, edit)
    assert_recorded(range(1, 7))


@pytest.mark.django_db(transaction=True)
def test_concurrent_edits_in_the_admin_are_recorded_as_consecutive_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    admin = get_user_model().objects.create_superuser("admin")
    module = ModuleFactory.create()
    change = reverse("admin:modules_module_change", args=[module.pk])
    snapshot = history.snapshot

    def slow_snapshot(row: Module) -> dict[str, Any]:
        result = snapshot(row)
        time.sleep(0.3)
        return result

    monkeypatch.setattr(history, "snapshot", slow_snapshot)
    fields = form(source_connection=module.source_connection_id, dest_connection=module.dest_connection_id)
    fields = {name: value for name, value in fields.items() if not name.startswith("hooks-0-")}

    def edit(number: int) -> None:
        client = Client()
        client.force_login(admin)
        response = client.post(change, {**fields, "hooks-TOTAL_FORMS": 0, "owner": f"editor {number}"})
        assert response.status_code == 302

    edit(0)
    at_once(2, edit)
    assert_recorded(range(2, 4))


def at_once(count: int, edit: Callable[[int], None]) -> None:
    """Call ``edit`` with the numbers from 1 to ``count``, each in a thread of its own."""
    barrier, errors = threading.Barrier(count), list[BaseException]()

    def work(number: int) -> None:
        try:
            barrier.wait()
            edit(number)
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=[number]) for number in range(1, count + 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def assert_recorded(numbers: range) -> None:
    """Assert that the old owner of each version is the new owner of the one before."""
    versions = list(ModuleHistory.objects.order_by("version"))
    assert [row.version for row in versions][-len(numbers) :] == list(numbers)
    changes = [row.diff["owner"] for row in versions]
    assert [change["old"] for change in changes] == ["", *(change["new"] for change in changes[:-1])]
    assert changes[-1]["new"] == Module.objects.get().owner

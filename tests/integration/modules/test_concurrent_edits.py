"""Concurrent edits of a module are recorded as consecutive versions."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from modules import history
from modules.models import Module, ModuleHistory
from tests.factories import ModuleFactory


@pytest.mark.django_db(transaction=True)
def test_concurrent_edits_are_recorded_as_consecutive_versions() -> None:
    module = ModuleFactory.create()
    barrier, errors = threading.Barrier(6), list[BaseException]()

    def edit(number: int) -> None:
        try:
            barrier.wait()
            row = Module.objects.get(pk=module.pk)
            with history.recorded(row, actor=f"editor {number}"):
                row.owner = f"editor {number}"
                row.save()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=edit, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    versions = list(ModuleHistory.objects.order_by("version"))
    assert [row.version for row in versions] == [1, 2, 3, 4, 5, 6]
    changes = [row.diff["owner"] for row in versions]
    # the old value of each version is the new value of the one before
    assert [change["old"] for change in changes] == ["", *(change["new"] for change in changes[:-1])]
    assert changes[-1]["new"] == Module.objects.get().owner

"""Two who edit one module at the same moment: two versions, each told from the other."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from modules import history
from modules.models import Module, ModuleHistory
from tests.factories import ModuleFactory


@pytest.mark.django_db(transaction=True)
def test_edits_at_once_are_one_version_each() -> None:
    module = ModuleFactory.create()
    together, failed = threading.Barrier(6), list[BaseException]()

    def edit(number: int) -> None:
        try:
            together.wait()
            mine = Module.objects.get(pk=module.pk)
            with history.recorded(mine, actor=f"editor {number}"):
                mine.owner = f"editor {number}"
                mine.save()
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=edit, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    versions = list(ModuleHistory.objects.order_by("version"))
    assert [row.version for row in versions] == [1, 2, 3, 4, 5, 6]
    changes = [row.diff["owner"] for row in versions]
    # each begins where the one before ended
    assert [change["old"] for change in changes] == ["", *(change["new"] for change in changes[:-1])]
    assert changes[-1]["new"] == Module.objects.get().owner

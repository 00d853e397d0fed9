"""The history of a module: every change with its diff, and the way back to any version."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from connections.models import Connection
from modules import history
from modules.models import Module, ModuleHistory
from tests.factories import HookFactory, ModuleFactory, WatermarkFactory

pytestmark = pytest.mark.django_db


def make(**fields: object) -> Module:
    module = ModuleFactory.build(**{**connections(), **fields})
    with history.recorded(module, actor="ann"):
        module.save()
    return module


def connections() -> dict[str, Connection]:
    row = ModuleFactory.create()
    return {"source_connection": row.source_connection, "dest_connection": row.dest_connection}


def test_making_a_module_is_its_first_version() -> None:
    module = make(name="qcrh")
    version = ModuleHistory.objects.get()
    assert (version.module, version.version, version.actor) == (module, 1, "ann")
    assert version.diff["name"] == {"old": None, "new": "qcrh"}
    assert version.diff["source_connection"]["new"] == module.source_connection.name


def test_a_change_keeps_old_and_new_text_of_the_query() -> None:
    module = make()
    old = module.source_query
    with history.recorded(module, actor="ben"):
        module.source_query = "SELECT a FROM t"
        module.save()
    assert module.history.get(version=2).diff == {"source_query": {"old": old, "new": "SELECT a FROM t"}}


def test_watermarks_and_hooks_are_part_of_it() -> None:
    module = make()
    with history.recorded(module, actor="ben"):
        WatermarkFactory.create(module=module, name="since")
        HookFactory.create(module=module, sql="ANALYZE x")
    diff = module.history.get(version=2).diff
    assert diff["watermarks"]["old"] == []
    assert diff["watermarks"]["new"][0]["name"] == "since"
    assert diff["hooks"]["new"][0]["sql"] == "ANALYZE x"


def test_saving_without_a_change_leaves_no_trace() -> None:
    module = make()
    with history.recorded(module, actor="ann"):
        module.save()
    assert module.history.count() == 1


def test_an_edit_that_fails_leaves_neither_change_nor_trace() -> None:
    module = make()
    with pytest.raises(RuntimeError), history.recorded(module, actor="ann"):
        module.owner = "Ben"
        module.save()
        raise RuntimeError
    module.refresh_from_db()
    assert (module.owner, module.history.count()) == ("", 1)


def test_an_old_version_comes_back_whole() -> None:
    module = make(source_query="SELECT a FROM t WHERE d > '{since}'")
    with history.recorded(module, actor="ann"):
        WatermarkFactory.create(module=module, name="since", default_value=None)
        HookFactory.create(module=module, sql="ANALYZE x", connection=module.source_connection)
    whole = history.snapshot(module)
    with history.recorded(module, actor="ben"):
        module.watermarks.all().delete()
        module.hooks.all().delete()
        module.source_query, module.owner, module.merge_strategy = "SELECT b FROM u", "Ben", "append"
        module.save()
    history.restore(module.history.get(version=2), actor="ann")
    module.refresh_from_db()
    assert history.snapshot(module) == whole
    assert module.history.get(version=4).diff["owner"] == {"old": "Ben", "new": ""}


def test_a_version_that_is_not_valid_any_more_does_not_come_back() -> None:
    module = make()
    version = module.history.get()
    ModuleHistory.objects.update(snapshot={**version.snapshot, "overlap": "nonsense"})
    with pytest.raises(ValidationError, match="overlap"):
        history.restore(module.history.get(), actor="ann")
    assert module.history.count() == 1


def test_a_version_whose_connection_is_gone_says_which() -> None:
    module = make()
    version = module.history.get()
    version.snapshot["source_connection"] = "lost-erp"
    with pytest.raises(Connection.DoesNotExist, match="lost-erp"):
        history.restore(version, actor="ann")


def test_deleting_a_module_keeps_its_history() -> None:
    module = make(name="qcrh")
    history.delete(module, actor="ben")
    kept = ModuleHistory.objects.filter(module_name="qcrh").order_by("version")
    assert [(row.version, row.actor, row.module) for row in kept] == [(1, "ann", None), (2, "ben", None)]
    assert kept[1].diff["name"] == {"old": "qcrh", "new": None}
    with pytest.raises(Module.DoesNotExist, match="qcrh"):
        history.restore(kept[0], actor="ann")


def test_switching_many_counts_those_that_changed() -> None:
    make(name="on")
    make(name="off", enabled=False)
    assert history.switch(Module.objects.filter(name__in=["on", "off"]), enabled=False, actor="ann") == 1
    assert not Module.objects.filter(name="on").enabled().exists()
    assert ModuleHistory.objects.get(module_name="on", version=2).diff == {"enabled": {"old": True, "new": False}}

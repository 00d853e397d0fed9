"""The history of a module: each edit is recorded with its diff, and any version can be restored."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from connections.models import Connection
from modules import history
from modules.models import Module, ModuleHistory
from tests.factories import HookFactory, ModuleFactory, WatermarkFactory

pytestmark = pytest.mark.django_db


def create(**fields: object) -> Module:
    module = ModuleFactory.build(**{**connections(), **fields})
    with history.recorded(module, actor="ann"):
        module.save()
    return module


def connections() -> dict[str, Connection]:
    row = ModuleFactory.create()
    return {"source_connection": row.source_connection, "dest_connection": row.dest_connection}


def test_creating_a_module_records_version_1() -> None:
    module = create(name="qcrh")
    version = ModuleHistory.objects.get()
    assert (version.module, version.version, version.actor) == (module, 1, "ann")
    assert version.diff["name"] == {"old": None, "new": "qcrh"}
    assert version.diff["source_connection"]["new"] == module.source_connection.name


def test_the_diff_of_a_query_has_its_old_and_new_text() -> None:
    module = create()
    old = module.source_query
    with history.recorded(module, actor="ben"):
        module.source_query = "SELECT a FROM t"
        module.save()
    assert module.history.get(version=2).diff == {"source_query": {"old": old, "new": "SELECT a FROM t"}}


def test_watermarks_and_hooks_are_part_of_the_diff() -> None:
    module = create()
    with history.recorded(module, actor="ben"):
        WatermarkFactory.create(module=module, name="since")
        HookFactory.create(module=module, sql="ANALYZE x")
    diff = module.history.get(version=2).diff
    assert diff["watermarks"]["old"] == []
    assert diff["watermarks"]["new"][0]["name"] == "since"
    assert diff["hooks"]["new"][0]["sql"] == "ANALYZE x"


def test_saving_without_a_change_records_no_version() -> None:
    module = create()
    with history.recorded(module, actor="ann"):
        module.save()
    assert module.history.count() == 1


def test_a_failed_edit_is_rolled_back_and_records_no_version() -> None:
    module = create()
    with pytest.raises(RuntimeError), history.recorded(module, actor="ann"):
        module.owner = "Ben"
        module.save()
        raise RuntimeError
    module.refresh_from_db()
    assert (module.owner, module.history.count()) == ("", 1)


def test_restoring_a_version_restores_watermarks_hooks_and_fields() -> None:
    module = create(source_query="SELECT a FROM t WHERE d > '{since}'")
    with history.recorded(module, actor="ann"):
        WatermarkFactory.create(module=module, name="since", default_value=None)
        HookFactory.create(module=module, sql="ANALYZE x", connection=module.source_connection)
    snapshot = history.snapshot(module)
    with history.recorded(module, actor="ben"):
        module.watermarks.all().delete()
        module.hooks.all().delete()
        module.source_query, module.owner, module.merge_strategy = "SELECT b FROM u", "Ben", "append"
        module.save()
    history.restore(module.history.get(version=2), actor="ann")
    module.refresh_from_db()
    assert history.snapshot(module) == snapshot
    assert module.history.get(version=4).diff["owner"] == {"old": "Ben", "new": ""}


def test_a_version_that_is_no_longer_valid_is_not_restored() -> None:
    module = create()
    version = module.history.get()
    ModuleHistory.objects.update(snapshot={**version.snapshot, "overlap": "nonsense"})
    with pytest.raises(ValidationError, match="overlap"):
        history.restore(module.history.get(), actor="ann")
    assert module.history.count() == 1


def test_restoring_a_version_with_a_missing_connection_raises_an_error_with_its_name() -> None:
    module = create()
    version = module.history.get()
    version.snapshot["source_connection"] = "lost-erp"
    with pytest.raises(Connection.DoesNotExist, match="lost-erp"):
        history.restore(version, actor="ann")


def test_deleting_a_module_keeps_its_history() -> None:
    module = create(name="qcrh")
    history.delete(module, actor="ben")
    versions = ModuleHistory.objects.filter(module_name="qcrh").order_by("version")
    assert [(row.version, row.actor, row.module) for row in versions] == [(1, "ann", None), (2, "ben", None)]
    assert versions[1].diff["name"] == {"old": "qcrh", "new": None}
    with pytest.raises(Module.DoesNotExist, match="qcrh"):
        history.restore(versions[0], actor="ann")


def test_switch_returns_the_number_of_changed_modules() -> None:
    create(name="on")
    create(name="off", enabled=False)
    assert history.switch(Module.objects.filter(name__in=["on", "off"]), enabled=False, actor="ann") == 1
    assert not Module.objects.filter(name="on").enabled().exists()
    assert ModuleHistory.objects.get(module_name="on", version=2).diff == {"enabled": {"old": True, "new": False}}

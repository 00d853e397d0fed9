"""Models of modules and groups: constraints, cascades and querysets."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test.utils import CaptureQueriesContext

from modules.models import Group, Hook, Module, Watermark
from tests.factories import (
    GroupFactory,
    GroupMemberFactory,
    HookFactory,
    ModuleFactory,
    WarehouseFactory,
    WatermarkFactory,
)

pytestmark = pytest.mark.django_db


def test_the_effective_watermark_defaults_to_the_first_merge_key() -> None:
    assert (
        ModuleFactory.build(merge_key="a, b", source_connection=None, dest_connection=None).effective_watermark == "a"
    )
    module = ModuleFactory.build(merge_key="a", watermark_column="c", source_connection=None, dest_connection=None)
    assert module.effective_watermark == "c"


def test_the_watermarks_of_a_module_have_unique_names() -> None:
    watermark = WatermarkFactory.create()
    with pytest.raises(IntegrityError), transaction.atomic():
        WatermarkFactory.create(module=watermark.module)


def test_deleting_a_module_deletes_its_watermarks_hooks_and_memberships() -> None:
    module = WatermarkFactory.create().module
    HookFactory.create(module=module)
    GroupMemberFactory.create(module=module)
    module.delete()
    assert not Watermark.objects.exists()
    assert not Hook.objects.exists()
    assert Group.objects.get().members.count() == 0


def test_a_module_is_at_most_once_in_a_group() -> None:
    member = GroupMemberFactory.create()
    with pytest.raises(IntegrityError), transaction.atomic():
        GroupMemberFactory.create(group=member.group, module=member.module)


def test_group_members_with_disabled_modules_are_not_runnable() -> None:
    group = GroupFactory.create()
    runnable = GroupMemberFactory.create(group=group)
    GroupMemberFactory.create(group=group, module=ModuleFactory.create(enabled=False))
    assert list(group.members.runnable()) == [runnable]


def test_touching_finds_modules_that_use_a_connection_in_a_hook_or_watermark() -> None:
    other = WarehouseFactory.create()
    by_hook = HookFactory.create(connection=other).module
    by_watermark = WatermarkFactory.create(connection=other).module
    ModuleFactory.create()
    assert set(Module.objects.touching(other.pk)) == {by_hook, by_watermark}


def test_with_parts_loads_everything_that_a_run_needs_in_three_queries(django_assert_num_queries: Any) -> None:
    for _ in range(3):
        HookFactory.create(module=WatermarkFactory.create().module)
    context: CaptureQueriesContext
    with django_assert_num_queries(3) as context:
        for module in Module.objects.with_parts():
            assert module.source_connection.driver.kind == "sqlite"
            assert [watermark.connection.driver.kind for watermark in module.watermarks.all()] == ["postgresql"]
            assert len(module.hooks.all()) == 1
    assert len(context) == 3

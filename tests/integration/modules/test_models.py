"""Models of modules and groups: constraints, cascades and querysets."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from modules.models import Group, Hook, Watermark
from tests.factories import (
    GroupMemberFactory,
    HookFactory,
    ModuleFactory,
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

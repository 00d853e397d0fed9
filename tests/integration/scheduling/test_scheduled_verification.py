"""Schedules that verify: each slot starts one verification of the module, or of each module of the group."""

from __future__ import annotations

import pytest

from modules.models import Module
from runs.admin import formatting
from runs.models import Run, Verification
from runs.process import identity

# registers how the admin shows a schedule that started a run
from scheduling import admin as admin
from scheduling.models import Action, Slot, SlotOutcome
from tests.factories import GroupFactory, GroupMemberFactory, ModuleFactory
from tests.integration.scheduling.simulated_time import MINUTE, START, play, schedule

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nowhere")]


def test_a_module_is_verified_once_when_it_is_due() -> None:
    module = ModuleFactory.create(name="orders")
    row = schedule(group=None, module=module, action=Action.VERIFY)
    play(START, 3 * MINUTE)
    verification = Verification.objects.get()
    assert (verification.module, verification.trigger) == (module, f"schedule:{row.pk}")
    assert verification.process is not None
    slot = Slot.objects.get()
    assert (slot.outcome, slot.run_id) == (SlotOutcome.STARTED, verification.pk)
    assert not Run.objects.exists()


def test_the_enabled_modules_of_a_group_are_verified_in_run_order_by_one_process() -> None:
    group = GroupFactory.create(name="nightly")
    for name, order in (("later", 2), ("first", 1)):
        GroupMemberFactory.create(group=group, module=ModuleFactory.create(name=name), run_order=order)
    disabled = ModuleFactory.create(name="disabled", enabled=False)
    GroupMemberFactory.create(group=group, module=disabled, run_order=1)
    schedule(group=group, module=None, action=Action.VERIFY)
    play(START, 3 * MINUTE)
    verifications = list(Verification.objects.order_by("pk"))
    assert [row.module_name for row in verifications] == ["first", "later"]
    assert all(row.process == verifications[0].process for row in verifications)


def test_the_run_order_in_another_group_has_no_effect() -> None:
    nightly, weekly = GroupFactory.create(name="nightly"), GroupFactory.create(name="weekly")
    for name, order, other in (("later", 2, 1), ("first", 1, 9)):
        module = ModuleFactory.create(name=name)
        GroupMemberFactory.create(group=weekly, module=module, run_order=other)
        GroupMemberFactory.create(group=nightly, module=module, run_order=order)
    schedule(group=nightly, module=None, action=Action.VERIFY)
    play(START, 3 * MINUTE)
    assert [row.module_name for row in Verification.objects.order_by("pk")] == ["first", "later"]


def test_a_verification_names_its_schedule_even_after_the_schedule_was_deleted() -> None:
    module = ModuleFactory.create(name="orders")
    row = schedule(group=None, module=module, action=Action.VERIFY, name="sundays")
    play(START, 3 * MINUTE)
    verification = Verification.objects.get()
    assert ">schedule sundays</a>" in formatting.trigger(verification)
    row.delete()
    assert formatting.trigger(verification, named=True) == "schedule sundays (deleted)"
    # verifications of earlier versions do not store the name
    verification.actor = ""
    assert formatting.trigger(verification, named=True) == f"schedule #{verification.trigger[9:]} (deleted)"


def test_a_module_that_is_being_verified_is_skipped() -> None:
    module = ModuleFactory.create(name="orders")
    schedule(group=None, module=module, action=Action.VERIFY)
    Verification.objects.create(module=module, module_name="orders", **identity.current().as_fields())
    play(START, 3 * MINUTE)
    assert Slot.objects.get().outcome == SlotOutcome.SKIPPED


def test_a_disabled_module_is_not_verified() -> None:
    module: Module = ModuleFactory.create(name="orders", enabled=False)
    schedule(group=None, module=module, action=Action.VERIFY)
    play(START, 3 * MINUTE)
    assert Slot.objects.get().outcome == SlotOutcome.SKIPPED

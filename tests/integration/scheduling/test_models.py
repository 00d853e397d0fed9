"""Validation of schedules: exactly one target, a cron expression that can fire, a time zone that exists."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from scheduling.models import Schedule
from tests.factories import GroupFactory, ModuleFactory, ScheduleFactory

pytestmark = pytest.mark.django_db


def validation_errors(schedule: Schedule) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as refused:
        schedule.full_clean()
    return refused.value.message_dict


def test_a_schedule_has_a_group_or_a_module_as_its_target() -> None:
    ScheduleFactory.create().full_clean()
    ScheduleFactory.create(group=None, module=ModuleFactory.create()).full_clean()


@pytest.mark.parametrize("both", [True, False])
def test_both_targets_or_none_are_refused_by_validation_and_by_the_database(both: bool) -> None:
    targets: dict[str, Any] = {"group": None, "module": None}
    if both:
        targets = {"group": GroupFactory.create(), "module": ModuleFactory.create()}
    schedule = ScheduleFactory.build(**targets)
    assert "exactly one" in validation_errors(schedule)["__all__"][0]
    with pytest.raises(IntegrityError, match="schedule_fires_exactly_one"), transaction.atomic():
        schedule.save()


@pytest.mark.parametrize("cron", ["0 0 31 2 *", "R R * * *", "* * * * * *", "every day"])
def test_an_invalid_cron_expression_is_refused(cron: str) -> None:
    schedule = ScheduleFactory.build(group=GroupFactory.create(), cron_expr=cron)
    assert cron.split()[0] in validation_errors(schedule)["cron_expr"][0]


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "/etc/localtime", "CEST"])
def test_an_unknown_time_zone_is_refused(zone: str) -> None:
    assert validation_errors(ScheduleFactory.build(group=GroupFactory.create(), timezone=zone))["timezone"]


def test_the_time_zone_defaults_to_the_server_s() -> None:
    schedule = Schedule(name="x", group=GroupFactory.create(), cron_expr="@daily")
    schedule.full_clean()
    assert (schedule.timezone, schedule.catch_up, schedule.enabled) == ("Europe/Berlin", "last", True)


def test_the_target_is_the_group_or_module_and_disabled_schedules_are_filtered_out() -> None:
    by_group = ScheduleFactory.create()
    by_module = ScheduleFactory.create(group=None, module=ModuleFactory.create(), enabled=False)
    assert by_group.target == by_group.group
    assert by_module.target == by_module.module
    assert list(Schedule.objects.enabled().with_target()) == [by_group]

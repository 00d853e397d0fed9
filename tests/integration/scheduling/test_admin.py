"""The admin pages of schedules and slots."""

from __future__ import annotations

import datetime as dt

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from scheduling.admin import formatting
from scheduling.models import Progress, Schedule, Slot, SlotOutcome
from tests.factories import ModuleFactory, ScheduleFactory

pytestmark = pytest.mark.django_db


def page(client: Client, schedule: Schedule) -> str:
    return client.get(reverse("admin:scheduling_schedule_change", args=[schedule.pk])).content.decode()


def test_the_page_describes_the_schedule_and_lists_its_next_five_times_in_its_zone(admin_client: Client) -> None:
    row: Schedule = ScheduleFactory.create(cron_expr="30 6 * * *", timezone="Asia/Kolkata")
    content = page(admin_client, row)
    assert "at 06:30, every day (Asia/Kolkata)" in content
    assert content.count(" 06:30 IST</div>") == 5


def test_a_time_skipped_by_daylight_saving_is_shown_as_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: dt.datetime(2027, 3, 27, 12, tzinfo=dt.UTC))
    row: Schedule = ScheduleFactory.build(cron_expr="30 2 * * *", timezone="Europe/Berlin")
    first, second, *_ = formatting.next_times(row).split("</div>")
    assert first.endswith("Sun 2027-03-28 03:00 CEST (moved: the scheduled time is skipped by daylight saving)")
    assert second.endswith("Mon 2027-03-29 02:30 CEST")


def test_the_page_shows_the_problems_of_a_schedule_and_the_outcomes_of_its_slots(admin_client: Client) -> None:
    row: Schedule = ScheduleFactory.create()
    now = timezone.now()
    Progress.objects.create(schedule=row, seen_until=now, start_error="No process to be had.")
    slot = {"schedule": row, "due_at": now, "claimed_at": now, "missed_before": 3}
    Slot.objects.create(slot_key="2027-01-11T04:00", outcome=SlotOutcome.FAILED, message="Nothing free.", **slot)
    Schedule.objects.filter(pk=row.pk).update(timezone="Mars/Olympus")
    content = page(admin_client, row)
    assert "No process to be had." in content
    for text in ("2027-01-11 04:00", "Could not be started", "3 missed before. Nothing free."):
        assert text in content
    assert "This machine knows no time zone “Mars/Olympus”." in content


def test_the_buttons_that_disable_and_enable_a_schedule_are_logged(admin_client: Client) -> None:
    row: Schedule = ScheduleFactory.create()
    changelist = reverse("admin:scheduling_schedule_changelist")
    for action, enabled in (("disable", False), ("enable", True)):
        data = {"action": action, "_selected_action": [row.pk], "from_page": "1"}
        response = admin_client.post(changelist, data, follow=True)
        assert response.redirect_chain[-1][0] == reverse("admin:scheduling_schedule_change", args=[row.pk])
        assert Schedule.objects.get().enabled is enabled
    assert LogEntry.objects.count() == 2


def test_a_slot_links_to_the_run_or_group_run_that_it_started(admin_client: Client) -> None:
    now = timezone.now()
    for row in (ScheduleFactory.create(), ScheduleFactory.create(group=None, module=ModuleFactory.create())):
        row.slots.create(slot_key="2027-01-11T04:00", due_at=now, claimed_at=now, run_id=7)
    content = admin_client.get(reverse("admin:scheduling_slot_changelist")).content.decode()
    assert "/admin/runs/run/7/change/" in content
    assert "/admin/runs/grouprun/7/change/" in content

"""Schedules in the admin, with when they fire next, and what became of their slots, which is only looked at."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter, RelatedDropdownFilter
from unfold.decorators import display

from scheduling import presenting
from scheduling.models import Schedule, Slot


@admin.register(Schedule)
class ScheduleAdmin(ModelAdmin):
    list_display = ["name", "fires", "words", "next_time", "catch_up", "last_fired_at", "trouble", "enabled"]
    list_filter = ["enabled", ("group", RelatedDropdownFilter), ("module", RelatedDropdownFilter)]
    list_filter_submit = True
    list_select_related = ["group", "module", "progress"]
    search_fields = ["name", "group__name", "module__name", "cron_expr"]
    autocomplete_fields = ["group", "module"]
    readonly_fields = ["last_fired_at", "words", "next_times", "last_slots", "trouble"]
    fieldsets = [
        (None, {"fields": [("name", "enabled")]}),
        ("Fires", {"description": "A group or a module: exactly one of the two.", "fields": [("group", "module")]}),
        (
            "When",
            {
                "description": "When both day and weekday are restricted, either of them is enough: 0 0 13 * 5 fires "
                "on every Friday and on every 13th.",
                "fields": [("cron_expr", "timezone"), "catch_up"],
            },
        ),
    ]

    def get_fieldsets(self, request: HttpRequest, obj: Schedule | None = None) -> Any:
        if obj is None:
            return self.fieldsets
        trouble = ["trouble"] if obj.problem else []
        told = {"fields": [*trouble, "words", "next_times", "last_fired_at", "last_slots"]}
        return [*self.fieldsets, ("What comes, what was", told)]

    @display(description="Fires", ordering="group__name")
    def fires(self, schedule: Schedule) -> str:
        if schedule.group:
            return f"group {schedule.group}"
        return f"module {schedule.module}"

    @display(description="When", ordering="cron_expr")
    def words(self, schedule: Schedule) -> str:
        return presenting.in_words(schedule)

    @display(description="Next")
    def next_time(self, schedule: Schedule) -> str:
        return presenting.next_time(schedule)

    @display(description="Next five times")
    def next_times(self, schedule: Schedule) -> SafeString | str:
        return presenting.next_times(schedule)

    @display(description="Last slots")
    def last_slots(self, schedule: Schedule) -> SafeString | str:
        return presenting.last_slots(schedule)

    @display(description="Problem")
    def trouble(self, schedule: Schedule) -> str:
        return schedule.problem


@admin.register(Slot)
class SlotAdmin(ModelAdmin):
    list_display = ["slot_key", "what", "outcome", "due_at", "claimed_at", "missed_before", "run_id", "message"]
    list_filter = [
        ("outcome", ChoicesDropdownFilter),
        ("schedule", RelatedDropdownFilter),
        ("due_at", RangeDateTimeFilter),
    ]
    list_filter_submit = True
    list_select_related = ["schedule", "module"]
    show_full_result_count = False
    search_fields = ["schedule__name", "module__name"]

    @display(description="Of")
    def what(self, slot: Slot) -> str:
        return f"schedule {slot.schedule}" if slot.schedule else f"full refresh of {slot.module}"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

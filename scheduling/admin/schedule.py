"""Schedules in the admin, with their next times, and their slots, which are read-only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from pipekit_site.admin_ui import html
from pipekit_site.admin_ui.date_filter import TimestampRangeFilter
from pipekit_site.admin_ui.model_admin import FROM_PAGE, BaseAdmin, Button, ReadOnlyMixin
from runs.models.execution import StartedBy
from scheduling.admin import formatting
from scheduling.models import Action, Schedule, Slot


@admin.register(Schedule)
class ScheduleAdmin(BaseAdmin):
    list_display = ["name", "fires", "words", "next_time", "last_fired", "trouble", "enabled"]
    list_filter = ["enabled", "action", ("group", AutocompleteSelectFilter), ("module", AutocompleteSelectFilter)]
    list_select_related = ["group", "module", "progress"]
    list_fullwidth = True
    search_fields = ["name", "group__name", "module__name", "cron_expr"]
    search_help_text = "Name, group, module or cron expression"
    autocomplete_fields = ["group", "module"]
    readonly_fields = ["last_fired", "words", "next_times", "last_slots", "trouble"]
    actions = ["enable", "disable"]
    buttons = [
        Button(action="enable", label="Enable", icon="toggle_on", title="Fires again, but not for times in the past"),
        Button(action="disable", label="Disable", icon="toggle_off", title="Does not fire until it is enabled again"),
    ]
    warn_unsaved_form = True
    empty_text = "A schedule starts a group or a module at the times of a cron expression. Add one."
    fieldsets = [
        (None, {"fields": [("name", "enabled")]}),
        (
            "Fires",
            {"description": "A group or a module: exactly one of the two.", "fields": [("group", "module"), "action"]},
        ),
        (
            "When",
            {
                "description": "If both day and weekday are restricted, either of them is enough: 0 0 13 * 5 fires "
                "on every Friday and on every 13th.",
                "fields": [("cron_expr", "timezone"), "catch_up"],
            },
        ),
    ]

    def get_fieldsets(self, request: HttpRequest, obj: Schedule | None = None) -> Any:
        if obj is None:
            return self.fieldsets
        trouble = ["trouble"] if obj.problem else []
        fields = [*trouble, "words", "next_times", "last_fired", "last_slots"]
        return [*self.fieldsets, ("Upcoming and past", {"fields": fields})]

    def related(self, row: Schedule) -> Iterable[tuple[str, str]]:
        if row.target is not None:
            yield f"{'Group' if row.group else 'Module'} {row.target}", html.page_of(row.target)
        if row.action == Action.RUN:
            runs = "runs.grouprun" if row.group else "runs.run"
            yield "Runs it started", html.list_of(runs, by=StartedBy.SCHEDULE.numbered(row.pk))
        else:
            yield "Verifications it started", html.list_of("runs.verification", by=StartedBy.SCHEDULE.numbered(row.pk))
        yield "Scheduled times", html.list_of("scheduling.slot", schedule__id__exact=row.pk)

    def is_offered(self, button: Button, row: Schedule) -> bool:
        return {"enable": not row.enabled, "disable": row.enabled}[button.action]

    @admin.action(description="Enable: they fire again, but not for times in the past", permissions=["change"])
    def enable(self, request: HttpRequest, schedules: QuerySet[Schedule]) -> HttpResponse | None:
        return self._switch(request, schedules, enabled=True)

    @admin.action(description="Disable: they do not fire", permissions=["change"])
    def disable(self, request: HttpRequest, schedules: QuerySet[Schedule]) -> HttpResponse | None:
        return self._switch(request, schedules, enabled=False)

    def _switch(self, request: HttpRequest, schedules: QuerySet[Schedule], *, enabled: bool) -> HttpResponse | None:
        changed = list(schedules.exclude(enabled=enabled))
        for schedule in changed:
            schedule.enabled = enabled
            schedule.save(update_fields=["enabled", "updated_at"])
            self.log_change(request, schedule, [{"changed": {"fields": ["enabled"]}}])
        count = f"{len(changed)} {'schedule' if len(changed) == 1 else 'schedules'}"
        self.message_user(request, f"{count} {'enabled' if enabled else 'disabled'}.", messages.SUCCESS)
        one = schedules.first()
        return HttpResponseRedirect(html.page_of(one)) if one and FROM_PAGE in request.POST else None

    @display(description="Fires", ordering="group__name")
    def fires(self, schedule: Schedule) -> str:
        kind = "group" if schedule.group else "module"
        if schedule.action == Action.VERIFY:
            kind = f"verification of {kind}"
        return html.render("scheduling/target.html", kind=kind, row=schedule.target)

    @display(description="When", ordering="cron_expr")
    def words(self, schedule: Schedule) -> str:
        return html.render("scheduling/in_words.html", words=formatting.in_words(schedule))

    @display(description="Next")
    def next_time(self, schedule: Schedule) -> str:
        return formatting.next_time(schedule)

    @display(description="Next five times")
    def next_times(self, schedule: Schedule) -> str:
        return formatting.next_times(schedule)

    @display(description="Last fired", ordering="last_fired_at")
    def last_fired(self, schedule: Schedule) -> str:
        return html.timestamp(schedule.last_fired_at)

    @display(description="Last scheduled times")
    def last_slots(self, schedule: Schedule) -> str:
        return formatting.last_slots(schedule)

    @display(description="Problem")
    def trouble(self, schedule: Schedule) -> str:
        return html.problem(html.clipped(schedule.problem)) if schedule.problem else ""


@admin.register(Slot)
class SlotAdmin(ReadOnlyMixin, BaseAdmin):
    list_display = ["due", "what", "state", "run", "missed_before", "message_text"]
    list_filter = [
        ("outcome", ChoicesDropdownFilter),
        ("schedule", AutocompleteSelectFilter),
        ("module", AutocompleteSelectFilter),
        ("due_at", TimestampRangeFilter),
    ]
    list_select_related = ["schedule__group", "module"]
    list_fullwidth = True
    list_per_page = 50
    paginator = InfinitePaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    search_fields = ["schedule__name", "module__name"]
    search_help_text = "Schedule or module"
    empty_text = "No schedule was due yet. Every time at which a schedule is due is recorded here, started or not."
    fields = ["due", "what", "state", "run", "reserved", "missed_before", "message"]

    @display(description="Scheduled time", ordering="due_at")
    def due(self, slot: Slot) -> str:
        return formatting.when(slot)

    @display(description="Schedule")
    def what(self, slot: Slot) -> str:
        if slot.schedule:
            return html.render("scheduling/target.html", kind="schedule", row=slot.schedule)
        return html.render("scheduling/target.html", kind="full refresh of", row=slot.module)

    @display(description="Outcome", ordering="outcome")
    def state(self, slot: Slot) -> str:
        return formatting.outcome(slot)

    @display(description="Run")
    def run(self, slot: Slot) -> str:
        return formatting.run_of(slot)

    @display(description="Reserved", ordering="claimed_at")
    def reserved(self, slot: Slot) -> str:
        return html.timestamp(slot.claimed_at)

    @display(description="Message")
    def message_text(self, slot: Slot) -> str:
        return html.clipped(slot.message)

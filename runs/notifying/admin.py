"""The outbox in the admin: what was told of runs, to whom it could not be, and the one thing to do about it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import action, display
from unfold.utils import display_for_label

from runs.notifying import wording
from runs.outbox import Delivery, Notification

_COLOURS = {Delivery.PENDING: "info", Delivery.SENT: "success", Delivery.UNDELIVERED: "danger"}


@admin.register(Notification)
class NotificationAdmin(ModelAdmin):
    list_display = ["told", "channel", "state", "created_at", "sent_at", "attempts", "problem"]
    list_filter = [
        ("status", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("channel", ChoicesDropdownFilter),
        ("module", RelatedDropdownFilter),
    ]
    list_filter_submit = True
    list_select_related = ["module", "run"]
    show_full_result_count = False
    search_fields = ["module_name"]
    actions = ["retry"]
    fieldsets = [
        (None, {"fields": [("told", "channel", "state"), ("module", "run"), "text"]}),
        ("Delivery", {"fields": [("created_at", "due_at", "sent_at"), ("attempts", "give_up_at"), "last_error"]}),
    ]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("runs.change_notification")

    @action(description="Try undelivered ones again", permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Notification]) -> None:
        chosen = Notification.objects.filter(pk__in=queryset.values("pk"))
        count = chosen.retry(timezone.now())
        self.message_user(request, f"{count} will be tried again at the next tick.", messages.SUCCESS)

    @display(description="Told")
    def told(self, row: Notification) -> str:
        return wording.headline(row.about)

    @display(description="State", ordering="status")
    def state(self, row: Notification) -> SafeString:
        label = row.get_status_display()
        found: SafeString = display_for_label(label, "–", {label: _COLOURS[Delivery(row.status)]})
        return found

    @display(description="Last problem")
    def problem(self, row: Notification) -> str:
        return row.last_error[:100]

    @display(description="Text")
    def text(self, row: Notification) -> str:
        return wording.mail([row.about], key="").text

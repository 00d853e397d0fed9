"""Notifications in the admin: what was reported, what could not be delivered, and an action to retry that."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from pipekit_site.admin_ui import html
from pipekit_site.admin_ui.model_admin import FROM_PAGE, BaseAdmin, Button, ReadOnlyMixin
from runs.models.notification import Delivery, Notification
from runs.models.setting import current_settings
from runs.notify.messages import notification_headline, notification_mail

_COLOURS = {
    Delivery.PENDING: ("info", "schedule_send"),
    Delivery.SENT: ("success", "mark_email_read"),
    Delivery.UNDELIVERED: ("danger", "unsubscribe"),
}


@admin.register(Notification)
class NotificationAdmin(ReadOnlyMixin, BaseAdmin):
    list_display = ["headline", "channel", "state", "created", "sent", "attempts", "problem"]
    list_filter = [
        ("status", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("channel", ChoicesDropdownFilter),
        ("module", AutocompleteSelectFilter),
    ]
    list_select_related = ["module", "run"]
    list_fullwidth = True
    list_per_page = 50
    paginator = InfinitePaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    search_fields = ["module_name"]
    search_help_text = "Module"
    actions = ["retry"]
    buttons = [Button(action="retry", label="Retry", icon="send", title="Sent again at the next tick", primary=True)]
    empty_text = (
        "No notification was sent yet. Failures, recoveries and late modules are reported by e-mail and webhook; see"
        " the settings notification_addresses and webhook_url."
    )
    fieldsets = [
        (None, {"fields": [("headline", "channel", "state"), "text"]}),
        ("Delivery", {"fields": [("created", "due", "sent"), ("attempts", "retried_until"), "last_error"]}),
    ]

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("runs.change_notification")

    def is_offered(self, button: Button, row: Notification) -> bool:
        return row.status == Delivery.UNDELIVERED

    def related(self, row: Notification) -> Iterable[tuple[str, str]]:
        if row.run is not None:
            yield f"Run {row.run}", html.page_of(row.run)
        if row.module is not None:
            yield f"Module {row.module}", html.page_of(row.module)

    @admin.action(description="Retry undelivered notifications", permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Notification]) -> HttpResponse | None:
        selected = Notification.objects.filter(pk__in=queryset.values("pk"))
        count = selected.retry(timezone.now())
        self.message_user(request, f"{count} will be sent again at the next tick.", messages.SUCCESS)
        one = queryset.first()
        return HttpResponseRedirect(html.page_of(one)) if one and FROM_PAGE in request.POST else None

    @display(description="Notification")
    def headline(self, row: Notification) -> str:
        return notification_headline(row.about)

    @display(description="State", ordering="status")
    def state(self, row: Notification) -> str:
        colour, sign = _COLOURS[Delivery(row.status)]
        return html.badge(row.get_status_display(), colour, sign=sign)

    @display(description="Created", ordering="created_at")
    def created(self, row: Notification) -> str:
        return html.timestamp(row.created_at)

    @display(description="Sent", ordering="sent_at")
    def sent(self, row: Notification) -> str:
        return html.timestamp(row.sent_at)

    @display(description="Next attempt")
    def due(self, row: Notification) -> str:
        return html.timestamp(row.due_at) if row.status == Delivery.PENDING else html.NOTHING

    @display(description="Retried until")
    def retried_until(self, row: Notification) -> str:
        return html.timestamp(row.give_up_at)

    @display(description="Last error")
    def problem(self, row: Notification) -> str:
        return html.clipped(row.last_error)

    @display(description="Text")
    def text(self, row: Any) -> str:
        return html.code(notification_mail([row.about], current_settings(), key="").text)

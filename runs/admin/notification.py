"""The outbox in the admin: what was told of runs, to whom it could not be, and the one thing to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from pipekit_site.admin_ui import html
from pipekit_site.admin_ui.model_admin import FROM_PAGE, Page, ReadOnly, Verb
from runs.models.notification import Delivery, Notification
from runs.notify import messages as wording

_COLOURS = {
    Delivery.PENDING: ("info", "schedule_send"),
    Delivery.SENT: ("success", "mark_email_read"),
    Delivery.UNDELIVERED: ("danger", "unsubscribe"),
}


@admin.register(Notification)
class NotificationAdmin(ReadOnly, Page):
    list_display = ["told", "channel", "state", "created", "sent", "attempts", "problem"]
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
    verbs = [Verb(action="retry", label="Try again", icon="send", title="At the next tick", primary=True)]
    empty_says = (
        "Failures, recoveries and lateness that are told by e-mail or webhook are written down here. Who is told: the "
        "settings notification_addresses and webhook_url."
    )
    fieldsets = [
        (None, {"fields": [("told", "channel", "state"), "text"]}),
        ("Delivery", {"fields": [("created", "due", "sent"), ("attempts", "gives_up"), "last_error"]}),
    ]

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("runs.change_notification")

    def is_offered(self, verb: Verb, row: Notification) -> bool:
        return row.status == Delivery.UNDELIVERED

    def related(self, row: Notification) -> Iterable[tuple[str, str]]:
        if row.run is not None:
            yield f"Run {row.run}", html.page_of(row.run)
        if row.module is not None:
            yield f"Module {row.module}", html.page_of(row.module)

    @admin.action(description="Try undelivered ones again", permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Notification]) -> HttpResponse | None:
        chosen = Notification.objects.filter(pk__in=queryset.values("pk"))
        count = chosen.retry(timezone.now())
        self.message_user(request, f"{count} will be tried again at the next tick.", messages.SUCCESS)
        one = queryset.first()
        return HttpResponseRedirect(html.page_of(one)) if one and FROM_PAGE in request.POST else None

    @display(description="Told")
    def told(self, row: Notification) -> str:
        return wording.headline(row.about)

    @display(description="State", ordering="status")
    def state(self, row: Notification) -> SafeString:
        colour, sign = _COLOURS[Delivery(row.status)]
        return html.badge(row.get_status_display(), colour, sign=sign)

    @display(description="Created", ordering="created_at")
    def created(self, row: Notification) -> SafeString | str:
        return html.moment(row.created_at)

    @display(description="Sent", ordering="sent_at")
    def sent(self, row: Notification) -> SafeString | str:
        return html.moment(row.sent_at)

    @display(description="Next attempt")
    def due(self, row: Notification) -> SafeString | str:
        return html.moment(row.due_at) if row.status == Delivery.PENDING else html.NOTHING

    @display(description="Given up after")
    def gives_up(self, row: Notification) -> SafeString | str:
        return html.moment(row.give_up_at)

    @display(description="Last problem")
    def problem(self, row: Notification) -> SafeString | str:
        return html.clipped(row.last_error)

    @display(description="Text")
    def text(self, row: Any) -> SafeString | str:
        return html.code(wording.mail([row.about], key="").text)

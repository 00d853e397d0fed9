"""Verifications in the admin: their results, newest first, and actions to verify again and to repair."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.decorators import display

from connections.sdk.errors import PipekitError
from modules.models import Module
from pipekit_site.admin_ui import html
from pipekit_site.admin_ui.model_admin import FROM_PAGE, Button
from runs.admin import formatting, verification_examples
from runs.admin.actions import report_cancel, report_failed_launches, too_many
from runs.admin.base import RunHistoryAdmin, StartedByFilter
from runs.models.execution import StartedBy
from runs.models.verification import Verification
from runs.verifications import report
from runs.verifications.cancel import cancel_verification
from runs.verifications.insert import VerificationRequest
from runs.verifications.launch import launch_verifications
from runs.verifications.outcome import VerificationOutcome, outcome_of
from runs.verifications.scope import scope_as_json, scope_words

VERIFY = Button(action="verify", label="Verify", icon="fact_check", title="Compare the source with the destination")
_KINDS = ("missing", "extra", "different")
_AGAIN = Button(action="verify_again", label="Verify again", icon="fact_check", title="Compare the same scope again")
_REPAIR = Button(
    action="repair",
    label="Repair",
    icon="build",
    title="Pull rows that differ again, and delete extra rows where the module's runs do so",
    ask="Compare again, pull the rows that differ, and delete rows that the source does not have, if the module is full"
    " or has key_sync?",
    primary=True,
)
_CANCEL = Button(action="cancel_verification", label="Cancel", icon="cancel", title="Stop comparing")


@admin.action(description="Verify: compare the source with the destination", permissions=["run"])
def verify(model_admin: ModelAdmin, request: HttpRequest, rows: QuerySet[Module]) -> HttpResponse | None:
    """Verify the selected modules one after another, in one process."""
    return _launch(request, list(rows.with_connections()), {}, repair=False)  # type: ignore[attr-defined]


def _launch(
    request: HttpRequest, modules: list[Module], options: dict[str, Any], *, repair: bool
) -> HttpResponse | None:
    verification_request = VerificationRequest(
        trigger=StartedBy.ADMIN, actor=request.user.get_username(), repair=repair, options=options
    )
    try:
        launched = launch_verifications(modules, verification_request)
    except PipekitError as error:
        messages.warning(request, f"{error.message} {error.hint}")
        return None
    if not launched:
        return None
    if started := report_failed_launches(request, launched):
        only = started[0] if len(started) == 1 else None
        text = html.render("runs/messages/verification_started.html", row=only, count=len(started))
        messages.success(request, text)
    return HttpResponseRedirect(html.page_of(launched[0])) if FROM_PAGE in request.POST else None


@admin.register(Verification)
class VerificationAdmin(RunHistoryAdmin):
    name_field, named = "module_name", Module
    list_display = ["number", "module_name", "state", "differences", "rows", "started", "duration", "started_by"]
    list_display_links = ["number", "module_name"]
    list_filter = [("status", ChoicesDropdownFilter), ("module", AutocompleteSelectFilter), StartedByFilter]
    search_fields = ["module_name"]
    search_help_text = "Module, or number of the verification"
    row_button = None
    actions = ["verify_again", "repair", "cancel_verification"]
    buttons = [_CANCEL, _AGAIN, _REPAIR]
    empty_text = "No module was verified yet. Open a module and press “Verify”, or add a schedule that verifies it."
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("module_link", "state"),
                    ("started_ago", "ended"),
                    ("started_by_current_name", "duration"),
                    ("scope", "repair_run_link"),
                ]
            },
        ),
        ("Rows", {"fields": ["counts", "examples_shown"]}),
        ("Log", {"classes": ["collapse"], "fields": ["log_text"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Verification]:
        verifications: QuerySet[Verification] = super().get_queryset(request)
        return verifications.select_related("module", "repair_run")

    def get_fieldsets(self, request: HttpRequest, obj: Verification | None = None) -> Any:
        first, rows, log = self.fieldsets
        top = [first, *self.problems(obj, "warnings")]
        # a failed comparison has no counts
        return [*top, rows, log] if obj and obj.missing is not None else [*top, log]

    def is_offered(self, button: Button, row: Verification) -> bool:
        if button.action == "cancel_verification":
            return not row.is_final
        if button.action == "repair":
            return row.is_repairable and row.module_id is not None
        return row.is_final and row.module_id is not None

    def is_changing(self, row: Verification) -> bool:
        return not row.is_final

    def related(self, row: Verification) -> Iterable[tuple[str, str]]:
        if row.module is not None:
            yield f"Module {row.module}", html.page_of(row.module)
            yield "All verifications of this module", html.list_of("runs.verification", module__id__exact=row.module.pk)

    @admin.action(description="Verify again", permissions=["run"])
    def verify_again(self, request: HttpRequest, rows: QuerySet[Verification]) -> HttpResponse | None:
        return self._start(request, rows, repair=False)

    @admin.action(description="Repair what differs", permissions=["run"])
    def repair(self, request: HttpRequest, rows: QuerySet[Verification]) -> HttpResponse | None:
        return self._start(request, rows, repair=True)

    @admin.action(description="Cancel", permissions=["run"])
    def cancel_verification(self, request: HttpRequest, rows: QuerySet[Verification]) -> HttpResponse | None:
        if too_many(request, rows.count(), "Select fewer."):
            return None
        for row in rows:
            report_cancel(request, row, cancel_verification)
        return HttpResponseRedirect(html.page_of(rows[0])) if rows and FROM_PAGE in request.POST else None

    def _start(self, request: HttpRequest, rows: QuerySet[Verification], *, repair: bool) -> HttpResponse | None:
        """Start one process for each group of modules with the same options; a module's newest selected row counts."""
        newest = {row.module_id: row for row in rows.order_by("pk") if row.module_id is not None}
        groups: dict[str, list[Verification]] = {}
        for row in newest.values():
            groups.setdefault(json.dumps(row.options, sort_keys=True), []).append(row)
        if too_many(request, len(groups), "Select fewer, or verifications with the same options."):
            return None
        answer: HttpResponse | None = None
        for group in groups.values():
            modules = Module.objects.with_connections().filter(pk__in=[row.module_id for row in group])
            answer = _launch(request, list(modules), group[0].options, repair=repair)
        return answer

    @display(description="Verification", ordering="pk")
    def number(self, row: Verification) -> str:
        return f"#{row.pk}"

    @display(description="Status", ordering="status")
    def state(self, row: Any) -> str:
        ended: VerificationOutcome = outcome_of(row)
        colour, sign = formatting.COLOURS[ended]
        return html.badge(ended.label, colour, sign=sign)

    @display(description="Compared")
    def scope(self, row: Verification) -> str:
        return scope_words(row)

    @display(description="Source / destination")
    def rows(self, row: Verification) -> str:
        if row.source_rows is None:
            return html.NOTHING
        rows = f"{formatting.count(row.source_rows)} / {formatting.count(row.dest_rows)}"
        if scope_as_json(row)["everything"]:
            return rows
        return html.render("runs/verification/note.html", value=rows, note=scope_words(row))

    @display(description="Differences")
    def differences(self, row: Verification) -> str:
        if row.missing is None:
            return _brief(row) or html.NOTHING
        counts = [(name, getattr(row, name)) for name in _KINDS]
        text = ", ".join(f"{formatting.count(number)} {name}" for name, number in counts if number) or "none"
        if not row.error:
            return text
        # the comparison is valid even if the repair failed
        return html.render("runs/verification/note.html", value=text, note=_brief(row))

    @display(description="Counts")
    def counts(self, row: Verification) -> str:
        sides = [("at the source", row.source_rows), ("in the destination", row.dest_rows)]
        counted = [*sides, *((name, getattr(row, name)) for name in _KINDS)]
        note = "" if row.repaired is None else "Before the repair."
        return formatting.cards([(name, formatting.count(number)) for name, number in counted], note=note)

    @display(description="Examples")
    def examples_shown(self, row: Verification) -> str:
        if not any(row.examples.values()):
            return html.NOTHING
        more = {f"more_{kind}": report.left_out(row, kind) for kind in _KINDS}
        return verification_examples.rendered(row.examples, more)

    @display(description="Repair")
    def repair_run_link(self, row: Verification) -> str:
        if row.repair_run is None:
            return html.NOTHING
        result = report.repair_words(row)
        return html.render("runs/verification/repair.html", run=row.repair_run, result=result)


def _brief(row: Verification) -> str:
    """Return the error's message, clipped to one line."""
    text = formatting.problem(row)
    return html.render("runs/verification/error.html", text=text) if text else ""

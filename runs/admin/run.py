"""Runs in the admin, read-only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.decorators import display

from connections.sdk.formatting import readable_size
from modules.models import Module
from pipekit_site.admin_ui import html
from pipekit_site.admin_ui.date_filter import TimestampRangeFilter
from pipekit_site.admin_ui.model_admin import Button
from runs.admin import formatting
from runs.admin.actions import CANCEL, cancel, run_again
from runs.admin.base import RunColumns, RunHistoryAdmin, StartedByFilter
from runs.models import Run
from runs.models.states import ACTIVE

_AGAIN = Button(
    action="run_again",
    label="Run again",
    icon="replay",
    title="Start the module again with the same options",
    primary=True,
)


@admin.register(Run)
class RunAdmin(RunColumns, RunHistoryAdmin):
    name_field, named = "module_name", Module
    list_display = ["number", "module_name", "state", "problem", "rows", "started", "duration", "what"]
    list_display_links = ["number", "module_name"]
    list_filter = [
        ("status", ChoicesDropdownFilter),
        ("module", AutocompleteSelectFilter),
        StartedByFilter,
        "dry_run",
        ("started_at", TimestampRangeFilter),
    ]
    search_fields = ["module_name"]
    search_help_text = "Module, or number of the run"
    actions = [run_again, cancel]
    buttons = [CANCEL, _AGAIN]
    empty_text = "No module has run yet. To start one, open a module and press “Run now”."
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("module_link", "state"),
                    ("strategy_and_options", "tries"),
                    ("started_ago", "ended"),
                    ("started_by_current_name", "duration"),
                ]
            },
        ),
        ("Rows", {"fields": ["counts", "watermarks_text", "publish_text"]}),
        ("SQL", {"fields": ["source_sql", "destination_sql"]}),
        ("Steps", {"fields": ["steps_text", "attempts_text"]}),
        ("Log", {"fields": ["log_text", ("process", "heartbeats"), "log_path"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        runs: Any = super().get_queryset(request)
        is_list = request.resolver_match and str(request.resolver_match.url_name).endswith("_changelist")
        return runs.without_texts() if is_list else runs.with_module()

    def get_fieldsets(self, request: HttpRequest, obj: Run | None = None) -> Any:
        first, *rest = self.fieldsets
        return [first, *self.problems(obj, "warnings"), *rest]

    def is_offered(self, button: Button, row: Run) -> bool:
        return row.status in ACTIVE if button.action == "cancel" else row.is_final and row.module_id is not None

    def is_changing(self, row: Run) -> bool:
        return row.status in ACTIVE

    def related(self, row: Run) -> Iterable[tuple[str, str]]:
        if row.module is not None:
            yield f"Module {row.module}", html.page_of(row.module)
            yield "All runs of this module", html.list_of("runs.run", module__id__exact=row.module.pk)
        if row.group_run is not None:
            yield f"Group run {row.group_run}", html.page_of(row.group_run)

    @display(description="Strategy, started by")
    def what(self, run: Run) -> str:
        return html.render("runs/strategy_and_trigger.html", strategy=run.strategy, trigger=formatting.trigger(run))

    @display(description="Rows")
    def counts(self, run: Run) -> str:
        return formatting.counts(run)

    @display(description="Watermarks, before → after")
    def watermarks_text(self, run: Run) -> str:
        return formatting.watermarks(run)

    @display(description="Published by")
    def publish_text(self, run: Run) -> str:
        kept = f"the previous table is kept: {readable_size(run.kept_bytes)}" if run.kept_bytes is not None else ""
        return "; ".join(filter(None, [run.publish_method, kept])) or html.NOTHING

    @display(description="Query sent to the source")
    def source_sql(self, run: Run) -> str:
        return html.code(run.source_query)

    @display(description="SQL executed at the destination")
    def destination_sql(self, run: Run) -> str:
        return html.code(run.merge_sql)

    @display(description="Strategy")
    def strategy_and_options(self, run: Run) -> str:
        flags = {
            "dry run": run.dry_run,
            "full refresh": run.full_refresh,
            "restore": run.restore,
            "safety limits off": run.force,
        }
        return ", ".join([run.strategy or html.NOTHING, *(word for word, on in flags.items() if on)])

    @display(description="Tries, those to connect included")
    def tries(self, run: Run) -> str:
        return str(run.attempt)

    @display(description="Duration by step")
    def steps_text(self, run: Run) -> str:
        return formatting.steps(run)

    @display(description="Retries")
    def attempts_text(self, run: Run) -> str:
        return formatting.attempts(run)

    @display(description="Process")
    def process(self, run: Run) -> str:
        return formatting.process(run)

    @display(description="Heartbeat")
    def heartbeats(self, run: Run) -> str:
        return formatting.heartbeat(run)

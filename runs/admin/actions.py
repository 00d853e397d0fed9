"""Admin actions: start modules and groups, cancel runs.

Each calls the same function as the commands and the tick. Starting and cancelling take the permission `runs.add_run`;
the pages of runs are read-only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.admin import ModelAdmin

from connections.sdk.errors import AlreadyRunning, PipekitError
from modules.models import Group, Module
from pipekit_site.admin_ui import html
from pipekit_site.admin_ui.model_admin import FROM_PAGE, Button
from runs.lifecycle.cancel import CancelResult, cancel_execution
from runs.lifecycle.insert import RunRequest
from runs.lifecycle.launch import launch_group_run, launch_run
from runs.models import GroupRun, Run
from runs.models.execution import Execution, StartedBy
from runs.models.setting import current_settings

CANCEL = Button(
    action="cancel",
    label="Cancel",
    icon="cancel",
    title="Stop it; rows that are published stay",
    ask="Stop it? Rows that are not published yet are discarded. Rows that are published stay.",
)
RESULT_TEXTS = {
    CancelResult.REQUESTED: "is being cancelled and ends within 20 seconds.",
    CancelResult.CANCELLED: "is cancelled.",
    CancelResult.TOO_LATE: "is being ended: its rows are published; its remaining hooks and key_sync are skipped.",
    CancelResult.ENDED: "has already ended.",
}
Launched = TypeVar("Launched", bound=Execution)
Row = TypeVar("Row", bound=Execution)


class MayRun:
    """Mixin of admin pages whose actions start or stop runs."""

    def has_run_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("runs.add_run")


@admin.action(description="Run now", permissions=["run"])
def run_now(model_admin: ModelAdmin, request: HttpRequest, rows: QuerySet[Module]) -> HttpResponse | None:
    return _launch(request, rows, lambda module: launch_run(module, _request(request)))


@admin.action(description="Dry run: build the SQL, move nothing", permissions=["run"])
def dry_run(model_admin: ModelAdmin, request: HttpRequest, rows: QuerySet[Module]) -> HttpResponse | None:
    return _launch(request, rows, lambda module: launch_run(module, _request(request, dry_run=True)))


@admin.action(description="Full refresh: readers see the old rows until it is published", permissions=["run"])
def full_refresh(model_admin: ModelAdmin, request: HttpRequest, rows: QuerySet[Module]) -> HttpResponse | None:
    return _launch(request, rows, lambda module: launch_run(module, _request(request, full_refresh=True)))


@admin.action(description="Restore the previous table", permissions=["run"])
def restore(model_admin: ModelAdmin, request: HttpRequest, rows: QuerySet[Module]) -> HttpResponse | None:
    return _launch(request, rows, lambda module: launch_run(module, _request(request, restore=True)))


@admin.action(description="Run now", permissions=["run"])
def run_groups(model_admin: ModelAdmin, request: HttpRequest, rows: QuerySet[Group]) -> HttpResponse | None:
    return _launch(request, rows, lambda group: launch_group_run(group, _request(request)))


@admin.action(description="Dry run of every member", permissions=["run"])
def dry_run_groups(model_admin: ModelAdmin, request: HttpRequest, rows: QuerySet[Group]) -> HttpResponse | None:
    return _launch(request, rows, lambda group: launch_group_run(group, _request(request, dry_run=True)))


@admin.action(description="Run the module again", permissions=["run"])
def run_again(model_admin: ModelAdmin, request: HttpRequest, rows: QuerySet[Run]) -> HttpResponse | None:
    """Start the modules of these runs with the same options as their latest selected run."""
    latest = {run.module: run for run in rows.select_related("module").order_by("pk") if run.module}

    def launch(module: Module) -> Run:
        run = latest[module]
        options = {name: getattr(run, name) for name in ("dry_run", "full_refresh", "restore")}
        return launch_run(module, _request(request, **options))

    modules = Module.objects.with_connections().filter(pk__in=[module.pk for module in latest])
    return _launch(request, modules, launch)


@admin.action(description="Cancel", permissions=["run"])
def cancel(model_admin: ModelAdmin, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
    """Cancel each row; see `cancel_execution`."""
    selected = list(rows[: _limit() + 1])
    if too_many(request, len(selected), "Cancel the group run instead, or select fewer."):
        return None
    for run in selected:
        report_cancel(request, run, cancel_execution)
    return HttpResponseRedirect(html.page_of(selected[0])) if selected and FROM_PAGE in request.POST else None


def report_cancel(request: HttpRequest, row: Row, cancel_row: Callable[[Row], CancelResult]) -> None:
    """Cancel a row by the function, and add the result to the page."""
    try:
        text = RESULT_TEXTS[cancel_row(row)]
    except PipekitError as error:
        messages.error(request, f"{error.message} {error.hint}".strip())
    else:
        messages.info(request, html.render("runs/messages/row.html", row=row, text=text))


def _request(
    request: HttpRequest, *, dry_run: bool = False, full_refresh: bool = False, restore: bool = False
) -> RunRequest:
    actor = request.user.get_username()
    return RunRequest(trigger=StartedBy.ADMIN, actor=actor, dry_run=dry_run, full_refresh=full_refresh, restore=restore)


def _limit() -> int:
    # every run is a process, so one click may start as many as schedules may start per minute
    return current_settings().runs_per_tick


def too_many(request: HttpRequest, count: int, hint: str) -> bool:
    """Return whether the selection exceeds the setting runs_per_tick, after adding a warning to the page."""
    if count <= _limit():
        return False
    text = f"More than {_limit()} are selected, and nothing was done: each needs its own process (runs_per_tick). "
    messages.warning(request, text + hint)
    return True


def _launch(request: HttpRequest, rows: QuerySet[Any], launch: Callable[[Any], Run | GroupRun]) -> HttpResponse | None:
    hint = "Add them to a group, which runs a limited number of modules in parallel, and run the group."
    if too_many(request, rows.count(), hint):
        return None
    launched: list[Run | GroupRun] = []
    conflicting: Run | GroupRun | None = None
    for row in rows:
        try:
            launched.append(launch(row))
        except AlreadyRunning as error:
            conflicting = _conflicting(row, error)
            messages.warning(request, _conflict_text(conflicting, error))
        except PipekitError as error:
            messages.error(request, f"{error.message} {error.hint}")
    if started := report_failed_launches(request, launched):
        messages.success(request, html.render("runs/messages/started.html", rows=started))
    target = next(iter([*started, *launched]), conflicting)
    return HttpResponseRedirect(html.page_of(target)) if target and FROM_PAGE in request.POST else None


def report_failed_launches(request: HttpRequest, launched: Sequence[Launched]) -> list[Launched]:
    """Add an error to the page for each row whose process could not be started; return the other rows."""
    for row in launched:
        if row.error:
            text = f"did not start: {row.error['message']} {row.error['hint']}".strip()
            messages.error(request, html.render("runs/messages/row.html", row=row, text=text))
    return [row for row in launched if not row.error]


def _conflicting(row: Module | Group, error: AlreadyRunning) -> Run | GroupRun | None:
    model: type[Run] | type[GroupRun] = Run if isinstance(row, Module) else GroupRun
    return model.objects.filter(pk=error.detail).first() if error.detail.isdecimal() else None


def _conflict_text(conflicting: Run | GroupRun | None, error: AlreadyRunning) -> str:
    if conflicting is None:
        return f"{error.message} {error.hint}"
    return html.render("runs/messages/conflict.html", message=error.message, row=conflicting)

"""What an operator does from the admin's lists: start modules and groups, cancel what runs.

An action loops, calls one function, and reports. Who may start or cancel has the permission `runs.add_run`; run pages
themselves stay read-only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from connections.sdk.errors import PipekitError
from modules.models import Group, Module
from runs import cancelling, launching
from runs.claiming import Request
from runs.models import GroupRun, Run

_MAY_RUN = "runs.add_run"


@admin.action(description="Run now")
def run_now(page: ModelAdmin, request: HttpRequest, modules: QuerySet[Module]) -> None:
    _launch(request, modules, lambda module: launching.launch(module, _request(request)))


@admin.action(description="Dry run: build the SQL, move nothing")
def dry_run(page: ModelAdmin, request: HttpRequest, modules: QuerySet[Module]) -> None:
    _launch(request, modules, lambda module: launching.launch(module, _request(request, dry_run=True)))


@admin.action(description="Full refresh now (readers keep the old rows until it is done)")
def full_refresh(page: ModelAdmin, request: HttpRequest, modules: QuerySet[Module]) -> None:
    _launch(request, modules, lambda module: launching.launch(module, _request(request, full_refresh=True)))


@admin.action(description="Run now")
def run_groups(page: ModelAdmin, request: HttpRequest, groups: QuerySet[Group]) -> None:
    actor = request.user.get_username()
    _launch(request, groups, lambda group: launching.launch_group(group, trigger="admin", actor=actor))


@admin.action(description="Cancel")
def cancel(page: ModelAdmin, request: HttpRequest, runs: QuerySet[Any]) -> None:
    """Ask each to stop; a process of its own sees to it within 20 seconds."""
    if _may(request):
        for run in runs:
            messages.info(request, f"{run}: {cancelling.cancel(run)}")


def offer() -> None:
    """Add the actions to the lists of modules, groups, runs and group runs; the first two lie below this app."""
    offers: dict[type[Any], list[Callable[..., None]]] = {
        Module: [run_now, dry_run, full_refresh],
        Group: [run_groups],
        Run: [cancel],
        GroupRun: [cancel],
    }
    for model, actions in offers.items():
        page = admin.site.get_model_admin(model)
        page.actions = [*(page.actions or []), *actions]


def _request(request: HttpRequest, *, dry_run: bool = False, full_refresh: bool = False) -> Request:
    actor = request.user.get_username()
    return Request(trigger="admin", actor=actor, dry_run=dry_run, full_refresh=full_refresh)


def _may(request: HttpRequest) -> bool:
    if request.user.has_perm(_MAY_RUN):
        return True
    messages.error(request, "You may look at runs, not start or cancel them. It takes the permission to add runs.")
    return False


def _launch(request: HttpRequest, rows: Iterable[Any], launch: Callable[[Any], Run | GroupRun]) -> None:
    if not _may(request):
        return
    started = []
    for row in rows:
        try:
            started.append(launch(row))
        except PipekitError as error:
            messages.error(request, f"{error.message} {error.hint}")
    if started:
        messages.success(request, f"Started: {', '.join(str(run) for run in started)}.")

"""Runs of groups, which are immutable once final."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings as conf
from django.db import models

from modules.models import Group
from runs.models import states
from runs.models.execution import Execution
from runs.models.querysets import GroupRunQuerySet
from runs.models.states import GroupStatus


class GroupRun(Execution):
    """One execution of a group, in a process of its own; so is the run of each member.

    Its error is why the group run itself failed, and not one of its runs.
    """

    ACTIVE = states.GROUP_ACTIVE
    ALLOWED_FROM = states.GROUP_ALLOWED_FROM
    CANCEL_OPTIONS = ("--group-run",)

    group = models.ForeignKey(Group, on_delete=models.SET_NULL, null=True, related_name="group_runs")
    # kept when the group is deleted
    group_name = models.CharField(max_length=100)
    status = models.CharField(max_length=10, choices=GroupStatus.choices, default=GroupStatus.QUEUED)
    dry_run = models.BooleanField(default=False)
    full_refresh = models.BooleanField(default=False)
    # the modules' names in the order in which they run
    members = models.JSONField(default=list, blank=True)
    # the members that were not run: [{"module": "orders", "why": "it is disabled"}, ...]
    skipped = models.JSONField(default=list, blank=True)

    objects = GroupRunQuerySet.as_manager()

    class Meta:
        db_table = "group_run"
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["group"],
                condition=models.Q(status__in=states.GROUP_ACTIVE, dry_run=False),
                name="one_active_run_per_group",
            )
        ]

    def __str__(self) -> str:
        return f"{self.group_name} #{self.pk}"

    @property
    def log_file(self) -> Path:
        return Path(conf.PIPEKIT.log_dir) / f"group_runs/{self.pk}.log"

    def members_not_run(self) -> list[str]:
        """Return the names of the members that have neither a run nor a reason why they were skipped."""
        handled = {*self.runs.values_list("module_name", flat=True), *(each["module"] for each in self.skipped)}
        return [name for name in self.members if name not in handled]

    def finish_by_runs(self, *, only_if: dict[str, Any] | None = None) -> None:
        """running -> dry_run, success, partial or error, depending on its runs."""
        status = states.group_status(self.runs.values_list("status", flat=True))
        self.finish(status, only_if={"status": GroupStatus.RUNNING, **(only_if or {})})

    def finish_error(self, error: dict[str, str], **results: Any) -> None:
        """End it with an error of the group run itself: partial if any of its runs succeeded, else error."""
        any_succeeded = self.runs.filter(status__in=states.SUCCESSFUL).exists()
        status = GroupStatus.PARTIAL if any_succeeded else GroupStatus.ERROR
        self.finish(status, error=error, **results)

    def finish_cancelled(self, *, only_if: dict[str, Any] | None = None) -> None:
        """queued or running -> cancelled."""
        self.finish(GroupStatus.CANCELLED, only_if=only_if)

    def cancel_queued(self) -> None:
        self.finish_cancelled(only_if={"status": GroupStatus.QUEUED})

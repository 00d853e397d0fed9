"""Runs of groups, which are immutable once final."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from django.conf import settings as conf
from django.db import models, transaction
from django.utils import timezone

from connections.models import Timestamped
from modules.models import Group
from runs.models import states
from runs.models.process_mixin import ProcessMixin
from runs.models.querysets import GroupRunQuerySet
from runs.models.states import GroupStatus
from runs.models.transitions import transition


class GroupRun(ProcessMixin, Timestamped):
    """One execution of a group, in a process of its own; so is the run of each member."""

    ACTIVE = states.GROUP_ACTIVE

    group = models.ForeignKey(Group, on_delete=models.SET_NULL, null=True, related_name="group_runs")
    # kept when the group is deleted
    group_name = models.CharField(max_length=100)
    status = models.CharField(max_length=10, choices=GroupStatus.choices, default=GroupStatus.QUEUED)
    trigger = models.CharField(max_length=60, default="manual")
    actor = models.CharField(max_length=200, blank=True)
    dry_run = models.BooleanField(default=False)
    full_refresh = models.BooleanField(default=False)
    # the modules' names in the order in which they run
    members = models.JSONField(default=list, blank=True)
    # the members that were not run: [{"module": "orders", "why": "it is disabled"}, ...]
    skipped = models.JSONField(default=list, blank=True)
    # null, or why the group run itself failed: code, message, hint and detail
    error = models.JSONField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

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
    def is_final(self) -> bool:
        return self.status not in states.GROUP_ACTIVE

    @property
    def log_file(self) -> Path:
        return Path(conf.PIPEKIT.log_dir) / f"group_runs/{self.pk}.log"

    def start(self, **process: Any) -> None:
        """queued -> running, in the process whose fields are ``process``."""
        self._move(GroupStatus.RUNNING, sources=[GroupStatus.QUEUED], started_at=timezone.now(), **process)

    def finish(self) -> None:
        """running -> dry_run, success, partial or error, depending on its runs."""
        status = states.group_status(self.runs.values_list("status", flat=True))
        with transaction.atomic():
            self._move(status, sources=[GroupStatus.RUNNING], finished_at=timezone.now())
            states.finished.send(GroupRun, instance=self)

    def finish_error(self, error: dict[str, str]) -> None:
        """End it with an error of the group run itself: partial if any of its runs succeeded, else error."""
        any_succeeded = self.runs.filter(status__in=states.SUCCESSFUL).exists()
        status = GroupStatus.PARTIAL if any_succeeded else GroupStatus.ERROR
        with transaction.atomic():
            self._move(status, sources=states.GROUP_ACTIVE, error=error, finished_at=timezone.now())
            states.finished.send(GroupRun, instance=self)

    def record(self, **fields: Any) -> None:
        """Update fields of an active group run. Raise IllegalTransition once it is final."""
        transition(self, None, sources=states.GROUP_ACTIVE, fields=fields)

    def finish_cancelled(self) -> None:
        """queued or running -> cancelled."""
        with transaction.atomic():
            self._move(GroupStatus.CANCELLED, sources=states.GROUP_ACTIVE, finished_at=timezone.now())
            states.finished.send(GroupRun, instance=self)

    def _move(self, status: GroupStatus, *, sources: Collection[str], **fields: Any) -> None:
        transition(self, status, sources=sources, fields=fields)

"""Runs of modules, which are immutable once final.

The row of a run is its lock: partial unique indexes allow one active run per module and one per destination table.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from django.conf import settings as conf
from django.db import models

from connections.sdk.errors import Cancelled
from modules.models import Module
from runs.models import states
from runs.models.execution import Execution
from runs.models.group_run import GroupRun
from runs.models.querysets import RunQuerySet
from runs.models.states import Effect, Status
from runs.models.transitions import IllegalTransition, transition


def keep_runs(collector: Any, field: Any, runs: Any, using: str) -> None:
    """``on_delete`` of a module: raise ProtectedError while it runs, else set its runs' module to NULL."""
    if active := set(runs.filter(status__in=states.ACTIVE)):
        raise models.ProtectedError("It is running; cancel the run or wait until it ends.", active)
    models.SET_NULL(collector, field, runs, using)


# lets Django pass the runs as a lazy queryset, as for its own SET_NULL
keep_runs.lazy_sub_objs = True  # type: ignore[attr-defined]


def new_token() -> str:
    """Return a random UUID."""
    return str(uuid.uuid4())


class Run(Execution):
    """One execution of a module. It changes only through its transition methods, and never once it is final."""

    ACTIVE = states.ACTIVE
    ALLOWED_FROM = states.ALLOWED_FROM

    module = models.ForeignKey(Module, on_delete=keep_runs, null=True, related_name="runs")
    # kept when the module is deleted
    module_name = models.CharField("module", max_length=63)
    group_run = models.ForeignKey(GroupRun, on_delete=models.PROTECT, null=True, blank=True, related_name="runs")
    # identifies the run outside this database (commit record, files); the same for every attempt
    token = models.CharField(max_length=36, default=new_token, unique=True, editable=False)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    attempt = models.PositiveSmallIntegerField(default=1)
    # failed attempts that were retried: [{"number", "started", "ended", "code", "message", "wait"}, ...]
    attempts = models.JSONField(null=True, blank=True)
    strategy = models.CharField(max_length=12, blank=True)
    dry_run = models.BooleanField(default=False)
    full_refresh = models.BooleanField(default=False)
    force = models.BooleanField(default=False)
    # it puts the former table back, and reads nothing
    restore = models.BooleanField(default=False)
    # how the rows are published, see runs.engine.publish.method; empty for statements of the strategy
    publish_method = models.CharField(max_length=10, blank=True)
    # the size of the former table that an exchange has kept
    kept_bytes = models.BigIntegerField(null=True, blank=True)
    # when the commit at the destination was confirmed; from then on it is too late to cancel
    published_at = models.DateTimeField(null=True, blank=True)
    # the steps after the publish that have not ended, as texts; null until the plan is built
    unfinished = models.JSONField(null=True, blank=True)
    # null if it is not known
    effect = models.CharField(max_length=11, choices=Effect.choices, null=True, blank=True)  # noqa: DJ001

    read = models.BigIntegerField(null=True, blank=True)
    staged = models.BigIntegerField(null=True, blank=True)
    inserted = models.BigIntegerField(null=True, blank=True)
    updated = models.BigIntegerField(null=True, blank=True)
    deleted = models.BigIntegerField(null=True, blank=True)
    bytes = models.BigIntegerField(null=True, blank=True)

    source_query = models.TextField(blank=True)
    merge_sql = models.TextField("merge SQL", blank=True)
    watermarks = models.JSONField(default=dict, blank=True)
    warnings = models.JSONField(default=list, blank=True)
    # [{"step": "transfer", "seconds": 1.25}, ...] in order
    steps = models.JSONField(default=list, blank=True)
    log_path = models.CharField(max_length=500, blank=True)

    # the destination's address and table, normalised: one active run at a time may write it
    dest_lock_key = models.CharField(max_length=1000, blank=True)
    # the keys of the connections that the run waits for (see runs.lifecycle.connection_limit), null if for none
    waits_for = models.JSONField(null=True, editable=False)

    objects = RunQuerySet.as_manager()

    class Meta:
        db_table = "run_log"
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["module"],
                condition=models.Q(status__in=states.ACTIVE, dry_run=False),
                name="one_active_run_per_module",
            ),
            models.UniqueConstraint(
                fields=["dest_lock_key"],
                condition=models.Q(status__in=states.ACTIVE, dry_run=False) & ~models.Q(dest_lock_key=""),
                name="one_active_run_per_dest_table",
            ),
        ]
        indexes = [
            models.Index(fields=["module", "-id"], name="run_by_module"),
            models.Index(fields=["status", "-id"], name="run_by_status"),
        ]

    def __str__(self) -> str:
        return f"{self.module_name} #{self.pk}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding and Run.objects.filter(pk=self.pk).final().exists():
            raise IllegalTransition(
                f"Run {self.pk} has ended, and a finished run cannot be changed.", hint="Start another run instead."
            )
        super().save(*args, **kwargs)

    @property
    def log_file(self) -> Path:
        """The path of its log. The row stores it relative to the log directory, so that an installation can move."""
        return Path(conf.PIPEKIT.log_dir) / self.log_path

    @property
    def not_executed(self) -> list[str]:
        """The hooks and deletes that a run which ended after its publish did not execute to the end."""
        return (self.unfinished or []) if self.effect == Effect.PUBLISHED else []

    def mark_lost(self, *, heartbeat: int) -> None:
        """running -> lost, unless the heartbeat has advanced beyond the given one."""
        transition(self, Status.LOST, sources=[Status.RUNNING], fields={}, only_if={"heartbeat": heartbeat})

    def finish(self, status: str, *, only_if: dict[str, Any] | None = None, **results: Any) -> None:
        """See `Execution.finish`. Without ``effect``, that is known of a success and of a run that never started."""
        if "effect" not in results and not self.dry_run:
            unless_published = None if self.started_at else Effect.UNCHANGED
            results["effect"] = Effect.PUBLISHED if status == Status.SUCCESS else unless_published
        super().finish(status, only_if=only_if, **results)

    def finish_success(self, **results: Any) -> None:
        """running or lost -> success."""
        self.finish(Status.SUCCESS, **results)

    def finish_cancelled(self, error: dict[str, str], **results: Any) -> None:
        """queued, running or lost -> cancelled."""
        self.finish(Status.CANCELLED, error=error, **results)

    def cancel_queued(self) -> None:
        error = Cancelled("The run was cancelled before it started.")
        self.finish_cancelled(error.as_dict(), only_if={"status": Status.QUEUED})

"""Runs and group runs (what happened, immutable once final) and the settings an operator changes at run time.

The run row is the lock: partial unique indexes allow one active run per module and one per destination table.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection
from pathlib import Path
from typing import Any

from django.conf import settings as conf
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone

from connections.timestamped import Timestamped
from modules.models import Group, Module
from runs import settings
from runs.lifecycle.sanitize import storable
from runs.models import states
from runs.models.notification import Notification as Notification
from runs.models.process_mixin import Owned
from runs.models.querysets import GroupRunQuerySet, RunQuerySet
from runs.models.states import GroupStatus, IllegalTransition, Status
from runs.models.verification import Verification as Verification


def keep_runs(collector: Any, field: Any, runs: Any, using: str) -> None:
    """On deletion of a module: refuse while it runs, else keep its runs, which know its name."""
    if active := set(runs.filter(status__in=states.ACTIVE)):
        raise models.ProtectedError("It is running; cancel the run or wait for its end.", active)
    models.SET_NULL(collector, field, runs, using)


# Django need not load the runs to hand them over
keep_runs.lazy_sub_objs = True  # type: ignore[attr-defined]


def new_token() -> str:
    return str(uuid.uuid4())


class GroupRun(Owned, Timestamped):
    """One execution of a group, carried out by a process of its own; each member's run has its own again."""

    ACTIVE = states.GROUP_ACTIVE

    group = models.ForeignKey(Group, on_delete=models.SET_NULL, null=True, related_name="group_runs")
    # outlives the group
    group_name = models.CharField(max_length=100)
    status = models.CharField(max_length=10, choices=GroupStatus.choices, default=GroupStatus.QUEUED)
    trigger = models.CharField(max_length=60, default="manual")
    actor = models.CharField(max_length=200, blank=True)
    dry_run = models.BooleanField(default=False)
    full_refresh = models.BooleanField(default=False)
    # names in the order in which they are to run
    members = models.JSONField(default=list, blank=True)
    # [{"module": "orders", "why": "it is disabled"}, ...]: those that were not run
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

    def start(self, **owner: Any) -> None:
        self._move(GroupStatus.RUNNING, sources=[GroupStatus.QUEUED], started_at=timezone.now(), **owner)

    def finish(self) -> None:
        """End it as its runs ended: dry_run, success, partial or error."""
        # imported here: what is told of runs is above them
        from runs import notify

        status = states.of_group(self.runs.values_list("status", flat=True))
        with transaction.atomic():
            self._move(status, sources=[GroupStatus.RUNNING], finished_at=timezone.now())
            notify.on_group_finished(self)

    def finish_error(self, error: dict[str, str]) -> None:
        """End it for a reason of its own: partial when some of its runs succeeded all the same."""
        done = self.runs.filter(status__in=[Status.SUCCESS, Status.DRY_RUN]).exists()
        status = GroupStatus.PARTIAL if done else GroupStatus.ERROR
        # imported here: what is told of runs is above them
        from runs import notify

        with transaction.atomic():
            self._move(status, sources=states.GROUP_ACTIVE, error=error, finished_at=timezone.now())
            notify.on_group_failed(self)

    def record(self, **fields: Any) -> None:
        """Write what has been found so far, while it is active."""
        _move(self, None, sources=states.GROUP_ACTIVE, fields=fields)

    def finish_cancelled(self) -> None:
        self._move(GroupStatus.CANCELLED, sources=states.GROUP_ACTIVE, finished_at=timezone.now())

    def _move(self, status: GroupStatus, *, sources: Collection[str], **fields: Any) -> None:
        _move(self, status, sources=sources, fields=fields)


class Run(Owned, Timestamped):
    """One execution of a module. Changed only by its transitions, and by nobody once it is final."""

    ACTIVE = states.ACTIVE

    module = models.ForeignKey(Module, on_delete=keep_runs, null=True, related_name="runs")
    # outlives the module
    module_name = models.CharField("module", max_length=63)
    group_run = models.ForeignKey(GroupRun, on_delete=models.PROTECT, null=True, blank=True, related_name="runs")
    # names the run outside this database: commit record, files; the same for every attempt
    token = models.CharField(max_length=36, default=new_token, unique=True, editable=False)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    trigger = models.CharField(max_length=60, default="manual")
    actor = models.CharField(max_length=200, blank=True)
    attempt = models.PositiveSmallIntegerField(default=1)
    # the attempts that failed and were tried again: [{"number", "started", "code", "message", "wait"}, ...]
    attempts = models.JSONField(null=True, blank=True)
    strategy = models.CharField(max_length=12, blank=True)
    dry_run = models.BooleanField(default=False)
    full_refresh = models.BooleanField(default=False)
    force = models.BooleanField(default=False)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    # when the destination's commit was known to be done: too late to cancel
    published_at = models.DateTimeField(null=True, blank=True)

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
    # null, or code, message, hint and detail
    error = models.JSONField(null=True, blank=True)
    log_path = models.CharField(max_length=500, blank=True)

    # connection and table, normalised: what may be written by one run at a time
    dest_lock_key = models.CharField(max_length=1000, blank=True)

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
                f"Run {self.pk} is over; what happened is not rewritten.", hint="Start another run instead."
            )
        super().save(*args, **kwargs)

    @property
    def log_file(self) -> Path:
        """Where its output is. The row has the path within the log directory, so that an install can be moved."""
        return Path(conf.PIPEKIT.log_dir) / self.log_path

    @property
    def is_active(self) -> bool:
        return self.status in states.ACTIVE

    @property
    def is_final(self) -> bool:
        return self.status in states.TERMINAL

    @property
    def seconds(self) -> float | None:
        """How long it took, or has been going for."""
        if self.started_at is None:
            return None
        end: dt.datetime = self.finished_at or timezone.now()
        return round((end - self.started_at).total_seconds(), 3)

    def start(self, **owner: Any) -> None:
        """queued -> running, by the process named in ``owner`` (host, machine_id, boot_id, pid, process_started)."""
        self._move(Status.RUNNING, sources=[Status.QUEUED], started_at=timezone.now(), **owner)

    def mark_lost(self, *, heartbeat: int) -> None:
        """running -> lost, unless its owner has given a sign since the ``heartbeat`` that was judged."""
        self._move(Status.LOST, sources=[Status.RUNNING], unless_moved_from=heartbeat)

    def finish_success(self, **results: Any) -> None:
        self.end(Status.SUCCESS, **results)

    def finish_dry_run(self, **results: Any) -> None:
        self.end(Status.DRY_RUN, **results)

    def finish_error(self, error: dict[str, str], **results: Any) -> None:
        """From queued too: a process that never started is an error."""
        self.end(Status.ERROR, error=error, **results)

    def finish_refused(self, error: dict[str, str], **results: Any) -> None:
        self.end(Status.REFUSED, error=error, **results)

    def finish_cancelled(self, error: dict[str, str], **results: Any) -> None:
        self.end(Status.CANCELLED, error=error, **results)

    def end(self, status: Status, **results: Any) -> None:
        """Make it final, from the states from which that is allowed; what is to be told of it goes with it."""
        # imported here: what is told of runs is above them
        from runs import notify

        with transaction.atomic():
            self._move(status, sources=states.ENDS_FROM[status], **{"finished_at": timezone.now(), **results})
            notify.on_finished(self)

    def record(self, **fields: Any) -> None:
        """Write what has been found so far, while it is active."""
        self._move(None, sources=states.ACTIVE, **fields)

    def _move(
        self, status: Status | None, *, sources: Collection[str], unless_moved_from: int | None = None, **fields: Any
    ) -> None:
        unmoved = {} if unless_moved_from is None else {"heartbeat": unless_moved_from}
        _move(self, status, sources=sources, fields=fields, only_if=unmoved)


def _move(
    row: Run | GroupRun,
    status: str | None,
    *,
    sources: Collection[str],
    fields: dict[str, Any],
    only_if: dict[str, Any] | None = None,
) -> None:
    """Update the row if it is in one of the source states; the row count decides who was first."""
    changed = {**fields, "updated_at": timezone.now(), **({} if status is None else {"status": status})}
    rows = type(row).objects.filter(pk=row.pk, status__in=sources, **(only_if or {}))
    if rows.update(**storable(changed)) != 1:
        now = type(row).objects.filter(pk=row.pk).values_list("status", flat=True).first() or "gone"
        raise IllegalTransition(
            f"Run {row.pk} is {now}; it cannot become {status or 'anything else'} from there.",
            hint="Something else moved it first; look at the run.",
        )
    for name, value in changed.items():
        setattr(row, name, value)


class Setting(Timestamped):
    """One value an operator changes while everything runs; a key without a row has its default."""

    key = models.CharField(max_length=60, unique=True, choices=settings.choices)
    value = models.JSONField()
    # a webhook of before the rule that restricts where one may lead; until its address is changed
    unrestricted = models.BooleanField(default=False, editable=False)

    class Meta:
        db_table = "settings"
        ordering = ["key"]

    def __str__(self) -> str:
        return self.key

    def clean(self) -> None:
        super().clean()
        try:
            self.value = settings.checked(self.key, self.value)
        except ValueError as error:
            raise ValidationError({"value": str(error)}) from None

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.unrestricted and not Setting.objects.filter(pk=self.pk, value=self.value).exists():
            self.unrestricted = False
            if (fields := kwargs.get("update_fields")) is not None:
                kwargs["update_fields"] = {*fields, "unrestricted"}
        super().save(*args, **kwargs)

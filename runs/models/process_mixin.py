"""Fields and methods of a row that a process executes: the process, its heartbeat and the request to cancel."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone

from runs.models.states import Status
from runs.process.identity import ProcessIdentity


class ProcessMixin(models.Model):
    """Abstract base of runs, group runs and verifications."""

    # the states of a row that has not ended
    ACTIVE: ClassVar[Collection[str]] = ()

    host = models.CharField(max_length=255, blank=True)
    machine_id = models.CharField(max_length=320, blank=True)
    boot_id = models.CharField(max_length=64, blank=True)
    pid = models.PositiveIntegerField(null=True, blank=True)
    # in clock ticks since boot; distinguishes the process from a later one with the same pid
    process_started = models.BigIntegerField(null=True, blank=True)
    # other machines compare this counter and never wall clocks
    heartbeat = models.BigIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    # the last heartbeat that other machines observed, and since when by their own clocks: see runs.lifecycle.liveness
    sighting = models.JSONField(null=True, blank=True, editable=False)
    cancel_requested = models.BooleanField(default=False)

    class Meta:
        abstract = True

    @property
    def process(self) -> ProcessIdentity | None:
        """The process that executes the row; None until it is known."""
        if self.pid is None:
            return None
        started = self.process_started or 0
        return ProcessIdentity(machine=self.machine_id, boot=self.boot_id, pid=self.pid, started=started)

    def beat(self) -> bool:
        """Record a heartbeat; return whether the process must stop (see `must_stop`)."""
        rows = self._rows().filter(status=Status.RUNNING)
        rows.update(heartbeat=models.F("heartbeat") + 1, heartbeat_at=timezone.now())
        return self.must_stop()

    def must_stop(self) -> bool:
        """Return whether a cancel was requested, or the row is no longer running."""
        return not self._rows().filter(status=Status.RUNNING, cancel_requested=False).exists()

    def is_gone(self) -> bool:
        """Return whether the row was deleted, or finalized by another process without having been cancelled."""
        kept = models.Q(status=Status.RUNNING) | models.Q(cancel_requested=True) | models.Q(status=Status.CANCELLED)
        return not self._rows().filter(kept).exists()

    def request_cancel(self) -> bool:
        """Ask the process to stop; return False if the row is already final."""
        rows = self._rows().filter(status__in=self.ACTIVE)
        return rows.update(cancel_requested=True, updated_at=timezone.now()) == 1

    def note(self, **fields: Any) -> None:
        """Update bookkeeping fields while the row is active; unlike transitions, this never raises."""
        self._rows().filter(status__in=self.ACTIVE).update(**fields)

    def assign_process(self, **process: Any) -> None:
        """Store the process that was launched for a queued row, unless that has started already."""
        self._rows().filter(status=Status.QUEUED, pid=None).update(**process)

    def _rows(self) -> models.QuerySet[Any]:
        return type(self)._default_manager.filter(pk=self.pk)

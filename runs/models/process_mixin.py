"""What a row has that some process carries out: who that is, its signs of life, and the wish that it stop."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone

from runs.models.states import Status
from runs.process.identity import Owner


class Owned(models.Model):
    # the states in which there is something to stop
    ACTIVE: ClassVar[Collection[str]] = ()

    host = models.CharField(max_length=255, blank=True)
    machine_id = models.CharField(max_length=320, blank=True)
    boot_id = models.CharField(max_length=64, blank=True)
    pid = models.PositiveIntegerField(null=True, blank=True)
    # in clock ticks since boot; tells the owner from a stranger with its pid
    process_started = models.BigIntegerField(null=True, blank=True)
    # others compare the counter, never clocks
    heartbeat = models.BigIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    # the last heartbeat another machine saw, and when by a clock of its own: see runs.lifecycle.leases
    sighting = models.JSONField(null=True, blank=True, editable=False)
    cancel_requested = models.BooleanField(default=False)

    class Meta:
        abstract = True

    @property
    def process(self) -> Owner | None:
        """Its process; None as long as none is known."""
        if self.pid is None:
            return None
        return Owner(machine=self.machine_id, boot=self.boot_id, pid=self.pid, started=self.process_started or 0)

    def beat(self, **fields: Any) -> bool:
        """Give a sign of life; return whether to stop: a cancel was asked for, or the row is no longer this owner's."""
        beaten = {"heartbeat": models.F("heartbeat") + 1, "heartbeat_at": timezone.now(), **fields}
        self._rows().filter(status=Status.RUNNING).update(**beaten)
        return self.must_stop()

    def must_stop(self) -> bool:
        return not self._rows().filter(status=Status.RUNNING, cancel_requested=False).exists()

    def is_gone(self) -> bool:
        """Whether it must stop though nobody cancelled it: the row is not there any more, or somebody settled it."""
        stays = models.Q(status=Status.RUNNING) | models.Q(cancel_requested=True) | models.Q(status=Status.CANCELLED)
        return not self._rows().filter(stays).exists()

    def request_cancel(self) -> bool:
        """Ask the owner to stop; return False when there is nothing left to stop."""
        rows = self._rows().filter(status__in=self.ACTIVE)
        return rows.update(cancel_requested=True, updated_at=timezone.now()) == 1

    def note(self, **fields: Any) -> None:
        """Write what says nothing of the run itself, as long as it is active."""
        self._rows().filter(status__in=self.ACTIVE).update(**fields)

    def own(self, **owner: Any) -> None:
        """Note who will carry it out, while it is still queued."""
        self._rows().filter(status=Status.QUEUED, pid=None).update(**owner)

    def _rows(self) -> models.QuerySet[Any]:
        return type(self)._default_manager.filter(pk=self.pk)

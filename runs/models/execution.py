"""The abstract base class of runs, group runs and verifications, and the ways in which they are started."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar

from django.db import models, transaction
from django.utils import timezone

from connections.models import Timestamped
from connections.sdk.errors import Cancelled
from connections.secrets.redaction import redactor
from runs.models.process_mixin import ProcessMixin
from runs.models.states import Status
from runs.models.transitions import IllegalTransition, finished, transition


class StartedBy(models.TextChoices):
    """What starts an execution: the value of `trigger`, or its part before a colon and a number."""

    MANUAL = "manual", "command"
    DEMO = "demo", "demo"
    ADMIN = "admin", "admin"
    SCHEDULE = "schedule", "schedule"
    FULL_REFRESH = "full_refresh", "full refresh"
    # the repair of a verification
    VERIFICATION = "verification", "verification"

    def numbered(self, number: int | None) -> str:
        """Return the value with a number, such as `schedule:7`: a trigger, or the key of a timer."""
        return f"{self.value}:{number}"


def without_secrets(error: dict[str, Any]) -> dict[str, Any]:
    """Return an error whose texts are redacted."""
    return {name: redactor().text(value) if isinstance(value, str) else value for name, value in error.items()}


class Execution(ProcessMixin, Timestamped):
    """Abstract base of rows that a process executes once. They change only by transitions, until they are final."""

    # the states from which each final state can be reached
    ALLOWED_FROM: ClassVar[Mapping[Any, Collection[str]]] = {}
    # options of the command `cancelrun` that say that a number is such a row's
    CANCEL_OPTIONS: ClassVar[Collection[str]] = ()

    # the choices are those of the model
    status: models.CharField[str, str]
    # of `StartedBy`; for schedules and verifications with a number, such as `schedule:7`
    trigger = models.CharField(max_length=60, default=StartedBy.MANUAL.value)
    actor = models.CharField(max_length=200, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    # null, or code, message, hint and detail
    error = models.JSONField(null=True, blank=True)

    class Meta:
        abstract = True

    @property
    def is_final(self) -> bool:
        return self.status not in self.ACTIVE

    @property
    def is_cancelled(self) -> bool:
        """Whether it was ended by a cancel; a verification that was has the status of what it found until then."""
        return self.status == Status.CANCELLED or (self.error or {}).get("code") == Cancelled.code

    @property
    def log_file(self) -> Path:
        """The path of its log."""
        raise NotImplementedError

    @property
    def seconds(self) -> float | None:
        """The duration in seconds, up to now while it runs; None if it has not started."""
        if self.started_at is None:
            return None
        return round(((self.finished_at or timezone.now()) - self.started_at).total_seconds(), 3)

    def record(self, **fields: Any) -> None:
        """Update fields of an active row. Raise IllegalTransition once it is final."""
        transition(self, None, sources=self.ACTIVE, fields=fields)

    def start(self, *, only_if: dict[str, Any] | None = None, **process: Any) -> None:
        """queued -> running, in the process whose fields are ``process`` (see `ProcessIdentity.as_fields`).

        Raise IllegalTransition if another process runs it, it has ended, or a field of it differs from ``only_if``. The
        process that runs it may call this again, after the answer of the metadata database was lost.
        """
        status, fields = Status.RUNNING, {"started_at": timezone.now(), **process}
        try:
            transition(self, status, sources=[Status.QUEUED], fields=fields, only_if=only_if)
        except IllegalTransition as refused:
            try:
                transition(self, status, sources=[status], fields=fields, only_if={**(only_if or {}), **process})
            except IllegalTransition:
                raise refused from None

    def cancel_queued(self) -> None:
        """queued -> cancelled. Raise IllegalTransition if its process has started it."""
        raise NotImplementedError

    def finish(self, status: str, *, only_if: dict[str, Any] | None = None, **results: Any) -> None:
        """Set a final status, and send `finished` in the same transaction. The error is stored without secrets.

        Raise IllegalTransition if it is not allowed, or if a field of the row differs from ``only_if``.
        """
        fields = {"finished_at": timezone.now(), **results}
        if fields.get("error"):
            fields["error"] = without_secrets(fields["error"])
        with transaction.atomic():
            transition(self, status, sources=self.ALLOWED_FROM[status], fields=fields, only_if=only_if)
            finished.send(type(self), instance=self)

    def finish_error(self, error: dict[str, str], **results: Any) -> None:
        """End it with this error, from any active state; from queued if its process never started."""
        self.finish(Status.ERROR, error=error, **results)

"""Verifications: comparisons of a module's source with its destination, and their results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings as conf
from django.db import models

from connections.sdk.errors import Cancelled
from modules.models import Module
from runs.models.execution import Execution
from runs.models.storable import storable


class VerificationStatus(models.TextChoices):
    """The status of a verification: the result of the comparison, whatever became of a repair."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    EQUAL = "equal", "Equal"
    DIFFERENT = "different", "Different"
    ERROR = "error", "Error"


ACTIVE = (VerificationStatus.QUEUED, VerificationStatus.RUNNING)
_FINAL = (VerificationStatus.EQUAL, VerificationStatus.DIFFERENT, VerificationStatus.ERROR)


class Verification(Execution):
    """One comparison of a module's source with its destination."""

    ACTIVE = ACTIVE
    ALLOWED_FROM = dict.fromkeys(_FINAL, ACTIVE)
    CANCEL_OPTIONS = ("--verification",)

    module = models.ForeignKey(Module, on_delete=models.SET_NULL, null=True, related_name="verifications")
    # kept when the module is deleted
    module_name = models.CharField("module", max_length=63)
    status = models.CharField(max_length=10, choices=VerificationStatus.choices, default=VerificationStatus.QUEUED)
    repair = models.BooleanField(default=False)
    # override the safety limits of the repair
    force = models.BooleanField(default=False)
    # the requested scope, {"columns": [...], "since": "2 days", "sample": 1000}; empty: everything
    options = models.JSONField(default=dict, blank=True)
    # null, or the scope as resolved: {"since": "2026-11-27", "since_column": "changed", "sampled": true}
    compared = models.JSONField(null=True, blank=True)

    source_rows = models.BigIntegerField(null=True, blank=True)
    dest_rows = models.BigIntegerField("destination rows", null=True, blank=True)
    missing = models.BigIntegerField(null=True, blank=True)
    extra = models.BigIntegerField(null=True, blank=True)
    different = models.BigIntegerField(null=True, blank=True)
    # {"missing": [key, ...], "extra": [...], "different": [{"key", "column", "source", "dest"}]}
    examples = models.JSONField(default=dict, blank=True)
    warnings = models.JSONField(default=list, blank=True)
    # null, or {"pulled", "inserted", "updated", "deleted"}; with "left" if rows still differ, and "finished": false if
    # the repair was refused or failed after it had published
    repaired = models.JSONField(null=True, blank=True)
    repair_run = models.ForeignKey(
        "runs.Run", on_delete=models.SET_NULL, null=True, blank=True, related_name="verifications"
    )

    class Meta:
        db_table = "verification"
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["module"],
                condition=models.Q(status__in=ACTIVE),
                name="one_active_verification_per_module",
            )
        ]
        indexes = [
            models.Index(fields=["module", "-id"], name="verification_by_module"),
            models.Index(fields=["status", "-id"], name="verification_by_status"),
        ]

    def __str__(self) -> str:
        return f"{self.module_name} #{self.pk}"

    @property
    def is_repair_finished(self) -> bool:
        """Whether a repair ran to its end, neither refused nor failed."""
        return self.repaired is not None and bool(self.repaired.get("finished", True))

    @property
    def is_repaired(self) -> bool:
        """Whether a repair ran and the second comparison found no difference."""
        return self.repaired is not None and not self.error and not self.repaired.get("left")

    @property
    def is_repairable(self) -> bool:
        """Whether rows differ and a repair could change them."""
        repairable = (self.compared or {}).get("repairable", True)
        return self.status == VerificationStatus.DIFFERENT and not self.is_repaired and bool(repairable)

    @property
    def log_file(self) -> Path:
        return Path(conf.PIPEKIT.log_dir) / f"verifications/{self.pk}.log"

    def start(self, *, only_if: dict[str, Any] | None = None, **process: Any) -> None:
        """queued -> running, as `Execution.start`. Raise IllegalTransition also if it is to be cancelled."""
        super().start(only_if={**(only_if or {}), "cancel_requested": False}, **process)

    def finish(self, status: str, *, only_if: dict[str, Any] | None = None, **results: Any) -> None:
        # its notifications contain the results
        super().finish(status, only_if=only_if, **storable(results))

    def cancel_queued(self) -> None:
        self.finish_error(cancelled_before_start(), only_if={"status": VerificationStatus.QUEUED})


def cancelled_before_start() -> dict[str, str]:
    """Return the error of a verification that was cancelled while it was queued."""
    return Cancelled("The verification was cancelled before it started.", hint="Start it again.").as_dict()

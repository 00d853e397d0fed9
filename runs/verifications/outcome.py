"""The outcome of a verification, repair included, as texts, JSON, pages and notifications show it.

The status is the result of the comparison; the outcome also includes what became of the repair.
"""

from __future__ import annotations

from django.db import models

from runs.models.verification import Verification, VerificationStatus


class VerificationOutcome(models.TextChoices):
    """The outcome of a verification."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    EQUAL = "equal", "Equal"
    # neither side has a row within the scope
    NO_ROWS = "no_rows", "No rows compared"
    DIFFERENT = "different", "Different"
    REPAIRED = "repaired", "Repaired"
    # some rows still differ
    PARTLY_REPAIRED = "partly_repaired", "Partly repaired"
    # repaired, but the second comparison failed
    UNCONFIRMED = "unconfirmed", "Repaired, not compared again"
    # refused by a safety limit
    REFUSED = "repair_refused", "Different, repair refused"
    REPAIR_FAILED = "repair_failed", "Different, repair failed"
    CANCELLED = "cancelled", "Cancelled"
    ERROR = "error", "Error"


def outcome_of(verification: Verification) -> VerificationOutcome:
    """Return the outcome, or queued or running while it has not ended."""
    code = (verification.error or {}).get("code", "")
    if verification.is_cancelled:
        return VerificationOutcome.CANCELLED
    if verification.status == VerificationStatus.EQUAL:
        is_empty = verification.source_rows == 0 and verification.dest_rows == 0
        return VerificationOutcome.NO_ROWS if is_empty else VerificationOutcome.EQUAL
    if verification.status != VerificationStatus.DIFFERENT:
        return VerificationOutcome(str(verification.status))
    if verification.is_repair_finished:
        if code:
            return VerificationOutcome.UNCONFIRMED
        is_partial = (verification.repaired or {}).get("left")
        return VerificationOutcome.PARTLY_REPAIRED if is_partial else VerificationOutcome.REPAIRED
    if code:
        return VerificationOutcome.REFUSED if code == "safety_limit" else VerificationOutcome.REPAIR_FAILED
    return VerificationOutcome.DIFFERENT

"""The states of runs and group runs: which ones hold the lock, which ones are final, and which may follow which."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import TextChoices

from connections.sdk.errors import PipekitError


class IllegalTransition(PipekitError):
    """The row is not in a state from which this move is allowed; somebody else moved it first."""

    code = "illegal_transition"


class Status(TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    # a finding of the reaper while it asks the destination what became of the run
    LOST = "lost", "Lost"
    SUCCESS = "success", "Success"
    DRY_RUN = "dry_run", "Dry run"
    ERROR = "error", "Error"
    CANCELLED = "cancelled", "Cancelled"
    REFUSED = "refused", "Refused"


class GroupStatus(TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCESS = "success", "Success"
    PARTIAL = "partial", "Partly failed"
    DRY_RUN = "dry_run", "Dry run"
    ERROR = "error", "Error"
    CANCELLED = "cancelled", "Cancelled"


# the row holds its module's and its destination table's lock
ACTIVE = (Status.QUEUED, Status.RUNNING, Status.LOST)
# never changes again
TERMINAL = (Status.SUCCESS, Status.DRY_RUN, Status.ERROR, Status.CANCELLED, Status.REFUSED)
GOOD = (Status.SUCCESS, Status.DRY_RUN)
FAILED = (Status.ERROR, Status.CANCELLED, Status.REFUSED)
# each final state, and where it can be come to from
ENDS_FROM: dict[Status, tuple[Status, ...]] = {
    Status.SUCCESS: (Status.RUNNING, Status.LOST),
    Status.DRY_RUN: (Status.RUNNING,),
    Status.ERROR: ACTIVE,
    Status.REFUSED: (Status.RUNNING,),
    Status.CANCELLED: ACTIVE,
}
GROUP_ACTIVE = (GroupStatus.QUEUED, GroupStatus.RUNNING)


def of_group(statuses: Iterable[str]) -> GroupStatus:
    """Return what a group run is, from the final states of its runs; one without runs had nothing to do: success."""
    found = list(statuses)
    if found and all(status == Status.DRY_RUN for status in found):
        return GroupStatus.DRY_RUN
    failed = [status for status in found if status in FAILED]
    if not failed:
        return GroupStatus.SUCCESS
    return GroupStatus.ERROR if len(failed) == len(found) else GroupStatus.PARTIAL

"""The states of runs and group runs: which hold the lock, which are final, and the transitions between them."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import TextChoices


class Status(TextChoices):
    """The status of a run."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    # set by the reaper while it asks the destination whether the run had published
    LOST = "lost", "Lost"
    SUCCESS = "success", "Success"
    DRY_RUN = "dry_run", "Dry run"
    ERROR = "error", "Error"
    CANCELLED = "cancelled", "Cancelled"
    REFUSED = "refused", "Refused"


class Effect(TextChoices):
    """What an ended run has certainly done to its destination; null if it is not known, and of dry runs."""

    PUBLISHED = "published", "the rows are published"
    UNCHANGED = "unchanged", "nothing was published, the destination table is unchanged"
    # hooks were executed, which may have changed the table
    UNPUBLISHED = "unpublished", "nothing was published"


class GroupStatus(TextChoices):
    """The status of a group run."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCESS = "success", "Success"
    PARTIAL = "partial", "Partly failed"
    DRY_RUN = "dry_run", "Dry run"
    ERROR = "error", "Error"
    CANCELLED = "cancelled", "Cancelled"


# the row locks its module and its destination table
ACTIVE = (Status.QUEUED, Status.RUNNING, Status.LOST)
# final: the row never changes again
FINAL = (Status.SUCCESS, Status.DRY_RUN, Status.ERROR, Status.CANCELLED, Status.REFUSED)
SUCCESSFUL = (Status.SUCCESS, Status.DRY_RUN)
FAILED = (Status.ERROR, Status.CANCELLED, Status.REFUSED)
# the states from which each final state can be reached
ALLOWED_FROM: dict[Status, tuple[Status, ...]] = {
    Status.SUCCESS: (Status.RUNNING, Status.LOST),
    Status.DRY_RUN: (Status.RUNNING,),
    Status.ERROR: ACTIVE,
    Status.REFUSED: (Status.RUNNING,),
    Status.CANCELLED: ACTIVE,
}
GROUP_ACTIVE = (GroupStatus.QUEUED, GroupStatus.RUNNING)
GROUP_ALLOWED_FROM: dict[GroupStatus, tuple[GroupStatus, ...]] = {
    GroupStatus.SUCCESS: (GroupStatus.RUNNING,),
    GroupStatus.DRY_RUN: (GroupStatus.RUNNING,),
    GroupStatus.PARTIAL: GROUP_ACTIVE,
    GroupStatus.ERROR: GROUP_ACTIVE,
    GroupStatus.CANCELLED: GROUP_ACTIVE,
}


def group_status(statuses: Iterable[str]) -> GroupStatus:
    """Return a group run's final status from those of its runs; success for a group run without runs."""
    statuses = list(statuses)
    if statuses and all(status == Status.DRY_RUN for status in statuses):
        return GroupStatus.DRY_RUN
    failed = [status for status in statuses if status in FAILED]
    if not failed:
        return GroupStatus.SUCCESS
    return GroupStatus.ERROR if len(failed) == len(statuses) else GroupStatus.PARTIAL

"""What stops a run before it does harm: status `refused`, nothing changed, `--force` overrides and is recorded."""

from __future__ import annotations

from connections.sdk.errors import Refused
from runs.engine.plan import Plan, Strategy


def check_full(plan: Plan, *, staged: int, present: int) -> str:
    """Refuse a full refresh that would empty a filled table, or shrink it below the limit.

    Returns a warning when `force` let it pass, else nothing.
    """
    if plan.strategy is not Strategy.FULL or present == 0 or staged >= present * plan.limits.min_full_share:
        return ""
    share = f"{plan.limits.min_full_share:.0%}"
    what = "no rows" if staged == 0 else f"{staged} rows"
    text = f"The full refresh would replace the {present} rows of {plan.dest_table} by {what} (the limit is {share})"
    if plan.force:
        return f"{text}; allowed because the run was forced."
    raise Refused(
        f"{text}; nothing was changed.",
        hint="Check the source. If it really has so few rows, run it once with --force.",
    )


def check_deletes(plan: Plan, *, deleting: int, present: int, what: str = "key_sync") -> str:
    """Refuse to delete more than the allowed share of the rows; returns a warning when `force` let it pass."""
    if deleting <= present * plan.limits.max_delete_share:
        return ""
    text = (
        f"{what} would delete {deleting} of the {present} rows of {plan.dest_table} "
        f"(the limit is {plan.limits.max_delete_share:.0%})"
    )
    if plan.force:
        return f"{text}; allowed because the run was forced."
    again = "run it" if plan.repair is None else "repair it"
    raise Refused(
        f"{text}; none was deleted. The rows read before are published.",
        hint=f"Check the source's keys. If they are really gone, {again} once with --force.",
    )

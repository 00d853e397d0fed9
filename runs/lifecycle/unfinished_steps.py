"""The steps of a run after its publish that have not ended: key_sync, the deletes of a repair, and hooks.

They are stored in the row before the publish commits: the process that ends an interrupted run may be another one.
"""

from __future__ import annotations

from collections.abc import Sequence

from runs.engine import events
from runs.engine.plan import Plan, RunOn
from runs.engine.reconcile.delete_extra import deletes
from runs.models.publish_outcome import REPAIR_DELETES

# when hooks are executed after the publish, in this order
_HOOKS = (RunOn.SUCCESS, RunOn.ALWAYS)
StepEnd = events.Reconciled | events.HookSucceeded | events.HookFailed


def of_plan(plan: Plan) -> list[str]:
    """Return the steps that follow the publish, in their order."""
    steps = list[str]()
    if deletes(plan):
        steps.append(REPAIR_DELETES)
    if plan.key_sync and plan.supports_deletes:
        steps.append(events.KEY_SYNC)
    hooks = list(enumerate(plan.hooks, start=1))
    return steps + [_hook(number, run_on) for run_on in _HOOKS for number, hook in hooks if hook.run_on == run_on]


def left_after(event: StepEnd, steps: Sequence[str]) -> list[str]:
    """Return the steps without the one that ended by the event.

    A step that a retry executes again ends again.
    """
    if isinstance(event, events.Reconciled):
        return [
            step for step in steps if step != (events.KEY_SYNC if event.what == events.KEY_SYNC else REPAIR_DELETES)
        ]
    return [step for step in steps if step not in {_hook(event.number, run_on) for run_on in _HOOKS}]


def _hook(number: int, run_on: RunOn) -> str:
    return f"hook {number} ({run_on.value})"
